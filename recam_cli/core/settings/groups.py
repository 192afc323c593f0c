"""Groups of settings that several stages share, as mix-ins for the stages' settings classes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from recam_cli.core.data.limits import MAX_PIXELS
from recam_cli.core.memory import AUTO, check_size
from recam_cli.core.settings.declare import setting

DATA = "Data"
MODEL = "Model"
SCHEDULE = "Schedule"
HARDWARE = "Hardware"
OUTPUT = "Output"

START_WORDS = ("classifier", "weights", "imagenet", "none")
"""What initial weights can be but a file."""

DatasetName = Literal["custom", "voc", "folder", "coco", "yolo", "shapes"]


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """Which data set, and where it lies."""

    dataset: DatasetName = setting("voc", "The kind of data set.", panel=DATA)
    data_root: Path | None = setting(
        None,
        "Its folder. Without it: data/VOCdevkit/VOC2012 or data/VOC2012 for voc, data/<dataset> for the others.",
        panel=DATA,
    )
    labels: Path | None = setting(
        None,
        "Image-level labels, CSV (image,labels) or JSON; without it labels.csv or labels.json of the data root, "
        "or VOC's Annotations/*.xml.",
        panel=DATA,
    )
    max_pixels: int = setting(MAX_PIXELS, "Refuse images of more pixels.", panel=DATA, minimum=1)


@dataclass(frozen=True, kw_only=True)
class WorkSettings:
    """How large photographs are while they are worked on."""

    work_side: int = setting(
        640,
        "Photographs are worked on at this longer side at most; masks are brought to full size at the end. 0: at their "
        "own size, as published.",
        panel=DATA,
        minimum=0,
        maximum=65_536,
    )


@dataclass(frozen=True, kw_only=True)
class DownloadSettings:
    """For commands that may be the first to need the data."""

    download: bool = setting(False, "Fetch the VOC 2012 devkit (2 GB) into the data folder first.", panel=DATA)


@dataclass(frozen=True, kw_only=True)
class DeviceSettings:
    """Where and how the numbers are computed."""

    device: str = setting("auto", "auto, cpu, cuda, cuda:<i> or mps.", panel=HARDWARE)
    precision: Literal["auto", "fp32", "bf16"] = setting(
        "auto", "auto takes bf16 where the hardware multiplies it fast, else fp32.", panel=HARDWARE
    )
    deterministic: bool = setting(
        False,
        "Give the same bits each time on a GPU, too, at some cost in time; on a CPU they always are the same.",
        panel=HARDWARE,
    )


MEMORY_HELP = "Memory to keep within, as 3GB or 800MB (a GPU's, where batches lie there); auto: by what is free."


@dataclass(frozen=True, kw_only=True)
class MemorySettings:
    """What batches and worker processes may take (`core/memory.py`); results differ by rounding alone."""

    memory: str = setting(AUTO, MEMORY_HELP, panel=HARDWARE, check=check_size)


@dataclass(frozen=True, kw_only=True)
class HardwareSettings(DeviceSettings):
    """That, and how images are read."""

    workers: int = setting(2, "Processes that load images.", panel=HARDWARE, minimum=0, maximum=256)


@dataclass(frozen=True, kw_only=True)
class SeedSettings:
    """The one number every random choice follows from."""

    seed: int = setting(0, "Every random choice follows from it.", panel=SCHEDULE, minimum=0, maximum=2**31 - 1)


@dataclass(frozen=True, kw_only=True)
class SnapshotSettings:
    """How often a training is kept, so that it can go on after a kill."""

    snapshot_every: float = setting(
        5.0,
        "Minutes between snapshots within an epoch, from which a killed training goes on; 0: only after epochs.",
        panel=OUTPUT,
        minimum=0,
    )


@dataclass(frozen=True, kw_only=True)
class ResumeSettings(SnapshotSettings):
    """That, and whether to go on."""

    resume: bool = setting(
        False, "Go on with the training that was interrupted, with its settings and to the same bits.", panel=OUTPUT
    )
