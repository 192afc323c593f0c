"""Settings of `recam visualize`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from recam_cli.core.data.limits import MAX_PIXELS
from recam_cli.core.settings.backbone_names import BackboneName
from recam_cli.core.settings.declare import setting
from recam_cli.core.settings.groups import DATA, MODEL, OUTPUT, HardwareSettings


@dataclass(frozen=True, kw_only=True)
class VisualizeSettings(HardwareSettings):
    """Which classes and maps of a photograph are shown, and how they become a mask."""

    labels: tuple[str, ...] | None = setting(
        None, "Classes to show, by name; without it those the classifier finds.", panel=DATA
    )
    min_score: float = setting(
        0.5, "Show classes of at least this score; the best one always.", panel=DATA, minimum=0, maximum=1
    )
    top: int | None = setting(
        None,
        "Show at most so many classes, the best first; without it all found (3 with --weights).",
        panel=DATA,
        minimum=1,
    )
    long_side: int = setting(
        640, "Larger photographs are scaled down to this longer side first.", panel=DATA, minimum=16, maximum=8192
    )
    max_pixels: int = setting(MAX_PIXELS, "Refuse images of more pixels.", panel=DATA, minimum=1)

    method: Literal["run", "cam", "recam"] = setting(
        "run", "Which maps: what the classifier was trained as, or cam for its plain CAM.", panel=MODEL
    )
    scales: tuple[float, ...] | None = setting(
        None,
        "Scales whose maps are summed; without it those of the run's seeds, else 1,0.5,1.5,2.",
        panel=MODEL,
        above=0,
        maximum=8,
    )
    threshold: str = setting(
        "auto",
        "The background's score, 0 to 1; auto takes that of the run's masks, 0.4 before there are any.",
        panel=MODEL,
    )
    refine: Literal["run", "crf", "none"] = setting(
        "run",
        "How the mask is made. run: as the run's masks, by the dense CRF before there are any or with a --threshold; "
        "crf: by the dense CRF; none: the seed alone.",
        panel=MODEL,
    )
    weights: str | None = setting(
        None,
        "Show a stock ImageNet classifier instead of a run: imagenet (a file in checkpoints/, else torchvision's "
        "download) or a safetensors file (of a .pth: recam import-weights).",
        panel=MODEL,
    )
    backbone: BackboneName = setting("mobilenet_v2", "With --weights: whose they are.", panel=MODEL)

    out: Path | None = setting(
        None,
        "Folder for the pictures; without it visualize/ of the run, and visualize/ here with --weights.",
        panel=OUTPUT,
    )
    height: int = setting(280, "Height of each panel in pixels.", panel=OUTPUT, minimum=64, maximum=2000)
