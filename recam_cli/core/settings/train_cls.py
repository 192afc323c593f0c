"""Settings of `recam train-cls`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from recam_cli.core.settings.backbone_names import OR_TIMM, check_backbone
from recam_cli.core.settings.declare import setting
from recam_cli.core.settings.groups import (
    DATA,
    MODEL,
    SCHEDULE,
    DataSettings,
    DownloadSettings,
    HardwareSettings,
    MemorySettings,
    ResumeSettings,
    SeedSettings,
    WorkSettings,
)

VIEWS_PER_CLASS = 80
"""Where epochs are not given: phase 1 shows each class's share so many crops."""
MOST_EPOCHS = 12
"""Then: beyond a dozen passes over few photographs these are only remembered."""


@dataclass(frozen=True, kw_only=True)
class TrainClsSettings(
    ResumeSettings, WorkSettings, DataSettings, DownloadSettings, HardwareSettings, MemorySettings, SeedSettings
):
    """The classifier: a probe of the backbone's features, BCE with FC1 (phase 1), BCE + λ·SCE with FC2 (phase 2)."""

    split: str = setting("train", "Split to train on.", panel=DATA)
    val_split: str = setting("val", "Split whose AP is reported; 'none' reports none.", panel=DATA)

    method: Literal["auto", "recam", "cam"] = setting(
        "recam",
        "cam stops after phase 1; auto trains both, and make-seeds chooses without ground truth. ReCAM's SCE is a "
        "softmax over the K classes, −log(exp z_k / Σ_j exp z_j): with K = 1 it is 0 and teaches nothing, so plain CAM "
        "is trained.",
        panel=MODEL,
    )
    start: Literal["probe", "random"] = setting(
        "random",
        "How the heads begin: fitted to the features of the backbone as it is (probe: convex, seconds), or drawn, as "
        "published.",
        panel=MODEL,
    )
    probe_sides: tuple[int, ...] = setting(
        (192, 256, 384),
        "Longer sides in pixels at which the probe sees each photograph and its mirror image.",
        panel=MODEL,
        minimum=16,
        maximum=4096,
    )
    backbone: str = setting("resnet50", f"Network below the two heads: {OR_TIMM}.", panel=MODEL, check=check_backbone)
    weights: str = setting(
        "imagenet",
        "Backbone weights: imagenet (a file in checkpoints/, else efficientnet_lite0's installed package, or "
        "torchvision's or timm's download), none, or a safetensors file (of a .pth: recam import-weights).",
        panel=MODEL,
    )
    stride: Literal["16", "8"] = setting("16", "Output stride of the backbone.", panel=MODEL)
    bce_trains: Literal["all", "head"] = setting(
        "all",
        "What BCE trains: all (as published) or only FC1 (head), as a summary of the paper says.",
        panel=MODEL,
    )
    loss: Literal["sce", "ce", "bce"] = setting(
        "sce",
        "Loss on re-activated features: sce as published; ce weighs pairs instead of images, bce is multi-label.",
        panel=MODEL,
    )
    loss_weight: float = setting(
        1.0, "λ, the weight of that loss (published: 1 VOC, 0.1 COCO).", panel=MODEL, minimum=0
    )

    epochs: int | None = setting(
        5,
        "Epochs of phase 1. The preset small (in a config file: auto) leaves it to the numbers of photographs and "
        "classes.",
        panel=SCHEDULE,
        minimum=0,
        maximum=10_000,
    )
    recam_epochs: int | None = setting(4, "Epochs of phase 2; likewise.", panel=SCHEDULE, minimum=0, maximum=10_000)
    optimiser: Literal["sgd", "adamw"] = setting("sgd", "sgd as published, or adamw.", panel=SCHEDULE)
    batch_size: int = setting(16, "Images per step in phase 1.", panel=SCHEDULE, minimum=1, maximum=4096)
    recam_batch_size: int = setting(16, "Images per step in phase 2.", panel=SCHEDULE, minimum=1, maximum=4096)
    lr: float = setting(0.1, "Backbone's learning rate in phase 1.", panel=SCHEDULE, minimum=0)
    lr_fc1: float = setting(1.0, "FC1's learning rate in phase 1.", panel=SCHEDULE, minimum=0)
    recam_lr: float = setting(5e-5, "Backbone's learning rate in phase 2.", panel=SCHEDULE, minimum=0)
    recam_lr_fc1: float = setting(5e-5, "FC1's learning rate in phase 2.", panel=SCHEDULE, minimum=0)
    recam_lr_fc2: float = setting(5e-4, "FC2's learning rate in phase 2.", panel=SCHEDULE, minimum=0)
    warm_up: float = setting(
        0.0,
        "Share of phase 1 over which the learning rates rise from 0; 0 as published.",
        panel=SCHEDULE,
        minimum=0,
        maximum=0.9,
    )
    momentum: float = setting(
        0.0,
        "SGD momentum. The published code runs with practically none, and its rates belong to that.",
        panel=SCHEDULE,
        minimum=0,
        maximum=0.999,
    )
    weight_decay: float = setting(1e-4, "Weight decay of all parameters.", panel=SCHEDULE, minimum=0)
    select: Literal["last", "best", "safe"] = setting(
        "last",
        "Which weights each phase ends with: those after its last epoch, as published; those of the epoch with the "
        "highest mAP on --val-split, which is then measured after each; or (safe) those of the latest epoch whose mAP "
        "is within a standard error of the highest, what the phase began with being its epoch 0.",
        panel=SCHEDULE,
    )
    crop: int = setting(512, "Side of the square training crop, in pixels.", panel=SCHEDULE, minimum=32, maximum=4096)
    long_side: tuple[int, ...] = setting(
        (320, 640), "Range of the longer side before cropping: smallest,largest.", panel=SCHEDULE, minimum=16
    )
    jitter: float = setting(0.0, "Colour jitter, relative; 0 as published.", panel=SCHEDULE, minimum=0, maximum=0.9)

    def epochs_of(self, images: int, classes: int) -> tuple[int, int]:
        """Return the epochs of phases 1 and 2 on so many photographs of so many classes."""
        whole = epochs_for(images, classes, self.batch_size)
        first = whole if self.epochs is None else self.epochs
        return first, -(-whole // 2) if self.recam_epochs is None else self.recam_epochs


def epochs_for(images: int, classes: int, batch_size: int) -> int:
    """Return how many passes over `images` photographs train `classes` classes from a probe on, from 1 to 12.

    Steps follow the classes, not the photographs: from features of ImageNet each is learned after some 80 views.
    """
    steps = -(-VIEWS_PER_CLASS * classes // batch_size)
    per_epoch = max(1, images // min(batch_size, images))
    return min(MOST_EPOCHS, max(1, -(-steps // per_epoch)))
