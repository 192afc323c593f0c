"""Settings of `recam pretrain-backbone`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from recam_cli.core.settings.backbone_names import BackboneName
from recam_cli.core.settings.declare import setting
from recam_cli.core.settings.groups import DATA, HARDWARE, MODEL, OUTPUT, SCHEDULE, SeedSettings


@dataclass(frozen=True, kw_only=True)
class PretrainBackboneSettings(SeedSettings):
    """A small network from nothing, on generated pictures of single objects."""

    images: int = setting(10_000, "Pictures to draw and train on.", panel=DATA, minimum=1, maximum=1_000_000)
    val_images: int = setting(990, "Further pictures that accuracy is measured on.", panel=DATA, minimum=1)
    size: int = setting(96, "Side of the square pictures, in pixels.", panel=DATA, minimum=64, maximum=1024)

    backbone: BackboneName = setting("mobilenet_v2", "Network to train.", panel=MODEL)

    crops: tuple[int, ...] = setting(
        (64, 96),
        "Side of the square training crop in each phase; small ones first save time.",
        panel=SCHEDULE,
        minimum=32,
    )
    epochs: tuple[int, ...] = setting((3, 2), "Epochs of each phase.", panel=SCHEDULE, minimum=1, maximum=10_000)
    batch_size: int = setting(32, "Images per step.", panel=SCHEDULE, minimum=2, maximum=4096)
    lr: float = setting(2e-3, "Highest learning rate of AdamW.", panel=SCHEDULE, above=0)
    weight_decay: float = setting(0.05, "AdamW's weight decay.", panel=SCHEDULE, minimum=0)
    warm_up: float = setting(
        0.1,
        "Share of the steps over which the learning rate rises; a cosine follows.",
        panel=SCHEDULE,
        minimum=0,
        maximum=0.5,
    )
    jitter: float = setting(0.4, "Colour jitter, relative.", panel=SCHEDULE, minimum=0, maximum=0.9)

    workers: int = setting(2, "Processes that draw pictures.", panel=HARDWARE, minimum=0, maximum=256)
    out: Path | None = setting(
        None,
        "The weights file; its card lies beside it. Without it: checkpoints/recam-<backbone>-shapes.safetensors.",
        panel=OUTPUT,
    )
