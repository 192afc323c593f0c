"""Settings of `recam demo`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from recam_cli.core.settings.declare import setting
from recam_cli.core.settings.groups import DATA, OUTPUT, HardwareSettings, SeedSettings


@dataclass(frozen=True, kw_only=True)
class DemoSettings(HardwareSettings, SeedSettings):
    """The whole pipeline on the built-in data set; every stage runs with the preset `shapes`."""

    images: int = setting(112, "Training images to draw.", panel=DATA, minimum=2, maximum=100_000)
    val_images: int = setting(36, "Held-out images to draw.", panel=DATA, minimum=1, maximum=100_000)
    pictures: int = setting(6, "Images on the contact sheet.", panel=OUTPUT, minimum=1, maximum=100)
    out: Path | None = setting(
        None,
        "Run directory to make, without it runs/demo-<date>-<time>; the images lie beside it in <out>-data.",
        panel=OUTPUT,
    )
