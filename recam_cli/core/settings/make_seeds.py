"""Settings of `recam make-seeds`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from recam_cli.core.settings.declare import setting
from recam_cli.core.settings.groups import (
    DATA,
    HARDWARE,
    MODEL,
    OUTPUT,
    DataSettings,
    HardwareSettings,
    MemorySettings,
    WorkSettings,
)

Method = Literal["run", "cam", "recam"]


@dataclass(frozen=True, kw_only=True)
class MakeSeedsSettings(WorkSettings, DataSettings, HardwareSettings, MemorySettings):
    """Multi-scale class maps of the labelled classes."""

    split: str = setting("train", "Split to make seeds of.", panel=DATA)
    method: Method = setting(
        "run",
        "Which maps: run = as the classifier was trained; cam = plain CAM of phase 1, for comparison (seeds-cam/).",
        panel=MODEL,
    )
    seed_weights: Literal["auto", "product", "fc1", "fc2", "sum"] = setting(
        "auto",
        "Weights the maps are read with; auto: product for ReCAM (as published for VOC), fc1 for CAM.",
        panel=MODEL,
    )
    scales: tuple[float, ...] = setting(
        (1.0, 0.5, 1.5, 2.0),
        "Scales whose maps are summed, as factors of the photograph's size.",
        panel=MODEL,
        above=0,
        maximum=8,
    )
    sides: tuple[int, ...] = setting(
        (0,),
        "Longer sides in pixels at which maps are read and summed, whatever the photograph's size; 0: at --scales of "
        "it, as published.",
        panel=MODEL,
        minimum=0,
        maximum=8192,
        instead_of="scales",
    )
    choose: bool = setting(
        False,
        "Choose without ground truth, on a sample of photographs: the sides, unless they are given, and where the "
        "classifier was trained with --method auto, CAM or ReCAM. Taken is what gives the masks that change least with "
        "the threshold.",
        panel=MODEL,
    )
    flip: bool = setting(True, "Add the mirrored image's maps.", panel=MODEL)
    batch_size: int = setting(4, "Images of equal size per forward pass.", panel=HARDWARE, minimum=1, maximum=1024)
    overwrite: bool = setting(
        False, "Replace seeds made with other settings (the old ones are moved aside).", panel=OUTPUT
    )

    @property
    def longest(self) -> int:
        """The longer side at which photographs are read: none of `sides` enlarges what was shrunk; 0: no limit."""
        return max(self.work_side, *self.sides) if self.work_side else 0
