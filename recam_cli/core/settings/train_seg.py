"""Settings of `recam train-seg`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from recam_cli.core.data.limits import MAX_PIXELS
from recam_cli.core.settings.backbone_names import check_backbone
from recam_cli.core.settings.declare import setting
from recam_cli.core.settings.groups import (
    DATA,
    HARDWARE,
    MODEL,
    OUTPUT,
    SCHEDULE,
    DatasetName,
    DataSettings,
    HardwareSettings,
    MemorySettings,
    ResumeSettings,
    SeedSettings,
    WorkSettings,
)


@dataclass(frozen=True, kw_only=True)
class TrainSegSettings(ResumeSettings, WorkSettings, HardwareSettings, MemorySettings, SeedSettings):
    """A segmentation network, trained on pseudo masks or, for reference, on the true ones."""

    dataset: DatasetName = setting("voc", "The kind of data set.", panel=DATA)
    data_root: Path | None = setting(None, "Its folder; without it as for train-cls.", panel=DATA)
    label_file: Path | None = setting(
        None, "Image-level labels, as --labels of train-cls; without it that run's.", panel=DATA
    )
    max_pixels: int = setting(MAX_PIXELS, "Refuse images of more pixels.", panel=DATA, minimum=1)
    split: str = setting("train", "Split to train on.", panel=DATA)
    predict_split: str = setting(
        "val", "Split to predict afterwards, where the data set has it; 'none' predicts none.", panel=DATA
    )
    labels: Literal["masks", "truth"] = setting(
        "masks", "What to learn: the run's pseudo masks, or the true masks (the supervised reference).", panel=DATA
    )
    method: Literal["run", "cam", "recam"] = setting(
        "run", "Which pseudo masks: the run's own, or cam for those of its plain CAM.", panel=DATA
    )

    network: Literal["deeplabv2", "deeplabv3", "lraspp"] = setting(
        "deeplabv2", "Head: summed dilated convolutions, or torchvision's DeepLab v3 or LR-ASPP.", panel=MODEL
    )
    backbone: str | None = setting(
        None,
        "Network below the head, named as for train-cls; without it the run's classifier's.",
        panel=MODEL,
        check=check_backbone,
    )
    stride: Literal["8", "16"] = setting("8", "Output stride of the backbone; the rest is dilated.", panel=MODEL)
    init: str = setting(
        "weights",
        "The backbone starts from: weights (what the run's classifier started from), classifier (that "
        "classifier itself), imagenet, none, or a file.",
        panel=MODEL,
    )
    freeze_stages: int = setting(
        0,
        "Leave the backbone's first stages untrained (0 to 4); saves time and memory.",
        panel=MODEL,
        minimum=0,
        maximum=4,
    )
    msc: bool = setting(False, "DeepLab v2's multi-scale branch: shrunken inputs vote, too.", panel=MODEL)
    balanced: bool = setting(False, "Weigh foreground and background alike in the loss.", panel=MODEL)
    loss_stride: int = setting(
        4,
        "The loss compares on a grid of one cell per so many pixels; 1 is every pixel.",
        panel=MODEL,
        minimum=1,
        maximum=32,
    )

    epochs: int = setting(19, "Passes over the images.", panel=SCHEDULE, minimum=1, maximum=10_000)
    iterations: int | None = setting(None, "Stop after so many batches, within the epochs.", panel=SCHEDULE, minimum=1)
    batch_size: int = setting(10, "Images per batch.", panel=SCHEDULE, minimum=1, maximum=4096)
    accumulate: int = setting(1, "Batches per optimiser step.", panel=SCHEDULE, minimum=1, maximum=1024)
    lr: float = setting(2.5e-4, "Backbone's learning rate.", panel=SCHEDULE, minimum=0)
    head_lr_factor: float = setting(
        10.0, "The head learns so much faster (its biases twice that, without decay).", panel=SCHEDULE, minimum=0
    )
    warm_up: float = setting(
        0.0, "Share of the steps over which the learning rate rises from 0.", panel=SCHEDULE, minimum=0, maximum=0.5
    )
    momentum: float = setting(0.9, "SGD momentum.", panel=SCHEDULE, minimum=0, maximum=0.999)
    weight_decay: float = setting(5e-4, "Weight decay.", panel=SCHEDULE, minimum=0)
    crop: int = setting(321, "Side of the square training crop, in pixels.", panel=SCHEDULE, minimum=32, maximum=4096)
    scale: tuple[float, ...] = setting(
        (0.5, 1.5),
        "Range of the random factor of the image's size: smallest,largest.",
        panel=SCHEDULE,
        above=0,
        maximum=8,
    )
    side: tuple[int, ...] = setting(
        (0, 0),
        "Range of the random longer side of the image in pixels: smallest,largest; 0,0: by --scale, as published.",
        panel=SCHEDULE,
        minimum=0,
        maximum=8192,
        instead_of="scale",
    )
    jitter: float = setting(0.0, "Colour jitter, relative; 0 as published.", panel=SCHEDULE, minimum=0, maximum=0.9)

    predict_side: int = setting(
        0,
        "In prediction the network sees photographs at this longer side in pixels; 0: at their own size, within "
        "--work-side.",
        panel=MODEL,
        minimum=0,
        maximum=8192,
    )
    eval_scales: tuple[float, ...] = setting(
        (1.0,), "Factors of that size whose probabilities are averaged.", panel=MODEL, above=0, maximum=8
    )
    flip: bool = setting(True, "Predict the mirrored image, too.", panel=MODEL)
    crf: bool = setting(False, "Refine predictions by dense CRF (DeepLab's parameters).", panel=MODEL)
    predict_batch_size: int = setting(
        8, "Images of equal size per forward pass in prediction.", panel=HARDWARE, minimum=1, maximum=1024
    )
    overwrite: bool = setting(
        False, "Replace a segmenter of other settings and its predictions (the old ones are moved aside).", panel=OUTPUT
    )

    @property
    def data(self) -> DataSettings:
        """The settings that name the data set, as its readers take them."""
        return DataSettings(
            dataset=self.dataset, data_root=self.data_root, labels=self.label_file, max_pixels=self.max_pixels
        )


PREDICTION_SETTINGS = ("predict_split", "predict_side", "eval_scales", "flip", "crf")
"""Settings that change predictions, but not the trained network."""
