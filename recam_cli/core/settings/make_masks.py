"""Settings of `make-masks`: from seeds to pseudo masks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from recam_cli.core.settings.declare import setting
from recam_cli.core.settings.groups import DATA, HARDWARE, MODEL, OUTPUT, DataSettings


@dataclass(frozen=True, kw_only=True)
class MakeMasksSettings(DataSettings):
    """How seeds are cut at a threshold and refined."""

    split: str = setting("train", "The split whose seeds are refined.", panel=DATA)
    method: Literal["run", "cam", "recam"] = setting(
        "run", "Which seeds: what the classifier was trained as, or cam for its plain CAM.", panel=MODEL
    )
    threshold: str = setting(
        "auto",
        "The background's score, 0 to 1; auto chooses it from the seeds alone, without ground truth.",
        panel=MODEL,
    )
    refine: Literal["crf", "none"] = setting("crf", "crf: dense CRF; none: the seed cut at the threshold.", panel=MODEL)
    unary: Literal["hard", "soft"] = setting(
        "hard", "What the CRF starts from: the seed's labels (as published), or its scores.", panel=MODEL
    )
    crf_certainty: float = setting(
        0.7, "Belief in a hard label; between 0 and 1.", panel=MODEL, above=0.0, maximum=0.999
    )
    soft_scaling: Literal["softmax", "share"] = setting(
        "softmax", "How soft scores become probabilities: softmax(s/temperature), or s/sum(s).", panel=MODEL
    )
    soft_temperature: float = setting(0.2, "Temperature of that softmax.", panel=MODEL, above=0.0)
    crf_gaussian_sxy: float = setting(3.0, "CRF smoothness: standard deviation in pixels.", panel=MODEL, above=0.0)
    crf_gaussian_compat: float = setting(3.0, "CRF smoothness: weight.", panel=MODEL, minimum=0.0)
    crf_bilateral_sxy: float = setting(50.0, "CRF appearance: standard deviation in pixels.", panel=MODEL, above=0.0)
    crf_bilateral_srgb: float = setting(
        5.0, "CRF appearance: standard deviation in colour (0..255).", panel=MODEL, above=0.0
    )
    crf_bilateral_compat: float = setting(10.0, "CRF appearance: weight.", panel=MODEL, minimum=0.0)
    crf_iterations: int = setting(10, "Mean-field steps of the CRF.", panel=MODEL, minimum=1, maximum=1000)
    workers: int | None = setting(
        None,
        "Processes that refine; without it one per core, 0: in the main process.",
        panel=HARDWARE,
        minimum=0,
        maximum=256,
    )
    overwrite: bool = setting(
        False,
        "Where the masks there were made with other settings: move them to masks.old-<n> and begin anew.",
        panel=OUTPUT,
    )
