"""Settings of `recam predict`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from recam_cli.core.data.limits import MAX_PIXELS
from recam_cli.core.settings.declare import setting
from recam_cli.core.settings.groups import DATA, MODEL, OUTPUT, HardwareSettings, MemorySettings


@dataclass(frozen=True, kw_only=True)
class PredictSettings(HardwareSettings, MemorySettings):
    """Which photographs the run's segmenter looks at, how, and where the masks go."""

    recursive: bool = setting(
        False, "Take the photographs of sub-folders, too; the masks keep their sub-folders.", panel=DATA
    )
    long_side: int | None = setting(
        None,
        "Larger photographs are scaled down to this longer side; masks have the photograph's size. Without it "
        "--work-side of train-seg, 1024 where that is 0.",
        panel=DATA,
        minimum=32,
        maximum=8192,
    )
    max_pixels: int = setting(MAX_PIXELS, "Refuse images of more pixels.", panel=DATA, minimum=1)

    method: Literal["run", "cam", "recam"] = setting(
        "run", "Which segmenter: the run's own, or cam for the one trained on masks of its plain CAM.", panel=MODEL
    )
    side: int | None = setting(
        None,
        "The network sees photographs at this longer side in pixels; 0: as --long-side leaves them. Without it "
        "--predict-side of train-seg.",
        panel=MODEL,
        minimum=0,
        maximum=8192,
    )
    eval_scales: tuple[float, ...] = setting(
        (1.0,), "Factors of that size whose probabilities are averaged.", panel=MODEL, above=0, maximum=8
    )
    flip: bool = setting(True, "Predict the mirrored image, too.", panel=MODEL)
    crf: bool = setting(False, "Refine by dense CRF (DeepLab's parameters).", panel=MODEL)

    out: Path | None = setting(
        None, "Folder for the masks; without it predict/ (predict-cam/) of the run.", panel=OUTPUT
    )
    overlay: bool = setting(
        False,
        "Write <name>_overlay.jpg beside each mask: the mask over its photograph, scaled as --long-side.",
        panel=OUTPUT,
    )
    overwrite: bool = setting(False, "Make masks anew that are there already; without it they are kept.", panel=OUTPUT)
