"""Settings of `recam train-cls`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from recam_cli.core.settings.declare import setting
from recam_cli.core.settings.groups import (
    DATA,
    MODEL,
    SCHEDULE,
    DataSettings,
    DownloadSettings,
    HardwareSettings,
    ResumeSettings,
    SeedSettings,
    WorkSettings,
)

BackboneName = Literal["resnet18", "resnet34", "resnet50", "resnet101", "vgg16", "mobilenet_v2"]


@dataclass(frozen=True, kw_only=True)
class TrainClsSettings(ResumeSettings, WorkSettings, DataSettings, DownloadSettings, HardwareSettings, SeedSettings):
    """The classifier's two phases: BCE with FC1 (phase 1), then BCE + λ·SCE with FC2 (phase 2, ReCAM)."""

    split: str = setting("train", "Split to train on.", panel=DATA)
    val_split: str = setting("val", "Split whose AP is reported; 'none' reports none.", panel=DATA)

    method: Literal["recam", "cam"] = setting("recam", "cam stops after phase 1.", panel=MODEL)
    backbone: BackboneName = setting("resnet50", "Network below the two heads.", panel=MODEL)
    weights: str = setting(
        "imagenet",
        "Backbone weights: imagenet (a file in checkpoints/, else torchvision's download), builtin (a small "
        "MobileNetV2 that comes with recam), none, or a safetensors file (of a .pth: recam import-weights).",
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

    epochs: int = setting(5, "Epochs of phase 1.", panel=SCHEDULE, minimum=0, maximum=10_000)
    recam_epochs: int = setting(4, "Epochs of phase 2.", panel=SCHEDULE, minimum=1, maximum=10_000)
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
    select: Literal["last", "best"] = setting(
        "last",
        "Which weights each phase ends with: those after its last epoch, as published, or those of the epoch with the "
        "highest mAP on --val-split, which is then measured after each.",
        panel=SCHEDULE,
    )
    crop: int = setting(512, "Side of the square training crop, in pixels.", panel=SCHEDULE, minimum=32, maximum=4096)
    long_side: tuple[int, ...] = setting(
        (320, 640), "Range of the longer side before cropping: smallest,largest.", panel=SCHEDULE, minimum=16
    )
    jitter: float = setting(0.0, "Colour jitter, relative; 0 as published.", panel=SCHEDULE, minimum=0, maximum=0.9)
