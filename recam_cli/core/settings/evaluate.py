"""Settings of `recam evaluate`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from recam_cli.core.settings.declare import setting
from recam_cli.core.settings.groups import DATA, OUTPUT, DataSettings


@dataclass(frozen=True, kw_only=True)
class EvaluateSettings(DataSettings):
    """What is scored, against which true masks, and how."""

    of: Literal["seeds", "masks", "segmentation"] = setting(
        "seeds", "What to score: the seeds, the pseudo masks, or the segmenter's predictions.", panel=DATA
    )
    split: str | None = setting(
        None,
        "The split whose images count. Without it: the one the run made them of (of train_aug: train, as published).",
        panel=DATA,
    )
    method: Literal["run", "cam", "recam", "truth"] = setting(
        "run",
        "Which of them: the run's own, or one method's (cam in a ReCAM run: its plain CAM); truth: predictions of the "
        "segmenter trained with --labels truth.",
        panel=DATA,
    )
    threshold: str = setting(
        "sweep",
        "Background threshold of seeds: a number from 0 to 1, auto (the one the run chose without ground "
        "truth), or sweep (the best of all, chosen with ground truth). The whole curve is always reported.",
        panel=DATA,
    )
    thresholds: int = setting(
        100,
        "Thresholds on the curve, evenly spaced from 0 to below 1.",
        panel=DATA,
        minimum=1,
        maximum=10_000,
    )
    ignored: Literal["background", "unlabelled"] = setting(
        "background",
        "What a predicted 255 is: background, as published, or unlabelled (wrong, but of no class).",
        panel=DATA,
    )
    pred_dir: Path | None = setting(
        None, "Score this folder of mask PNGs against --truth-dir; no run is needed.", panel=DATA
    )
    truth_dir: Path | None = setting(None, "Folder of true masks, same names as in --pred-dir.", panel=DATA)
    id_list: Path | None = setting(
        None,
        "With --truth-dir: file of the ids to score, one a line; without it every true mask.",
        panel=DATA,
    )
    classes: Path | None = setting(
        None,
        "With --truth-dir: file of class names, one a line; without it classes go by number.",
        panel=DATA,
    )
    out: Path | None = setting(
        None,
        "Folder for the result files. Without it: evaluation/ of the run, and none for two folders.",
        panel=OUTPUT,
    )
