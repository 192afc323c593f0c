"""Published recipes and those for small data sets, as values per stage (recipe §12)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recam_cli.core.errors import UsageError

# Hundreds to a few thousand photographs, from a laptop CPU up. Sizes are in pixels, whatever the photographs' own:
# chosen on photographs of 320 pixels, they bring those of a camera near to these.
_SMALL: Mapping[str, Mapping[str, Any]] = {
    "train-cls": {
        "backbone": "efficientnet_lite0",
        "method": "auto",
        "start": "probe",
        "optimiser": "adamw",
        "select": "safe",
        "epochs": None,
        "recam_epochs": None,
        "batch_size": 8,
        "recam_batch_size": 8,
        # AdamW moves every weight by about its rate a step: small beside ImageNet's weights, over some 100 steps.
        "lr": 1e-4,
        "lr_fc1": 1e-3,
        "warm_up": 0.1,
        # Phase 2 is FC2's: as published, the others hardly move in it.
        "recam_lr": 1e-5,
        "recam_lr_fc1": 1e-4,
        "recam_lr_fc2": 1e-3,
        # Small crops, half an image and less: what shows only a part must be recognised by it, so maps cover more.
        "crop": 160,
        "long_side": (224, 384),
    },
    "make-seeds": {"sides": (192, 256, 384, 512), "choose": True},
    "make-masks": {
        # Few passes: a boundary network trained further learns the labels' errors, too.
        "irn_epochs": 3,
        "irn_batch_size": 8,
        "irn_crop": 320,
        "irn_side": (448, 960),
        # A boundary of 4 pixels is coarse on small photographs: enlarged, 3.6 points more.
        "walk_side": 640,
        "walk_batch_size": 4,
        "walk_steps": 512,
        "walk_sources": "labels",
        # A segmenter that learns the walk's masks in few passes sees through their accidents: 1 to 2 points more.
        "self_epochs": 6,
        "psa_crop": 224,
        # Of the CRF, where it is asked for: the scores themselves instead of their cut, and half the appearance's
        # weight, further off.
        "unary": "soft",
        "soft_temperature": 0.1,
        "crf_bilateral_sxy": 80.0,
        "crf_bilateral_compat": 5.0,
    },
    "train-seg": {
        "network": "lraspp",
        "stride": "16",
        "freeze_stages": 2,
        "epochs": 12,
        "batch_size": 8,
        "lr": 0.003,
        "warm_up": 0.05,
        "crop": 224,
        "side": (192, 416),
        "predict_side": 320,
        "jitter": 0.2,
        "crf": True,
    },
}

PRESETS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    # The declared defaults are the published VOC recipe, but for the limit on the size of photographs.
    "voc": {
        "train-cls": {"split": "train_aug", "work_side": 0},
        "make-seeds": {"split": "train_aug", "work_side": 0},
        "make-masks": {"split": "train_aug", "work_side": 0},
        "train-seg": {"split": "train_aug", "work_side": 0},
    },
    "coco": {
        "train-cls": {"recam_batch_size": 6, "loss_weight": 0.1, "work_side": 0},
        "make-seeds": {"seed_weights": "fc1", "work_side": 0},
        "make-masks": {"work_side": 0},
        "train-seg": {"work_side": 0},
    },
    "small": _SMALL,
    # The demo: as small, but for what takes longest.
    "shapes": {
        "train-cls": {**_SMALL["train-cls"], "method": "recam", "epochs": 3, "recam_epochs": 1},
        # The sum is another of the paper's ways to join FC1 and FC2; on drawn pictures their product loses 6 points.
        "make-seeds": {"sides": (192, 256, 384), "seed_weights": "sum"},
        "make-masks": {**_SMALL["make-masks"], "refine": "crf", "self_epochs": 0},
        "train-seg": {**_SMALL["train-seg"], "epochs": 5, "crop": 192, "predict_side": 288, "crf": False},
    },
}
"""Preset name → stage → setting → value."""

BY_DATASET = {"voc": "voc", "custom": "small", "folder": "small", "coco": "small", "yolo": "small", "shapes": "shapes"}


def preset_values(preset: str, dataset: str, stage: str) -> Mapping[str, Any]:
    """Return the values of `preset` for `stage`; "auto" is the data set's own preset.

    Raises:
        UsageError: no such preset.
    """
    name = BY_DATASET[dataset] if preset == "auto" else preset
    if name not in PRESETS:
        raise UsageError(f"--preset: unknown preset {preset}", remedy=f"Choose one of auto, {', '.join(PRESETS)}")
    return PRESETS[name].get(stage, {})
