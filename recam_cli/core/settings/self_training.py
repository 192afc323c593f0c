"""Settings of self-training: a segmenter learns the masks of make-masks and has a say in them."""

from __future__ import annotations

from dataclasses import dataclass

from recam_cli.core.settings.declare import setting
from recam_cli.core.settings.presets import PRESETS
from recam_cli.core.settings.train_seg import TrainSegSettings

PANEL = "Self-training"


LEARNING = TrainSegSettings(**PRESETS["small"]["train-seg"])
"""The segmenter of self-training, and how it learns: as that of one's own photographs, but for its epochs."""


@dataclass(frozen=True, kw_only=True)
class SelfTrainingSettings:
    """How long the segmenter learns."""

    self_epochs: int = setting(
        0,
        "After a walk: passes over the images in which a segmenter learns its masks, to have a say in them; 0: none, "
        "as published.",
        panel=PANEL,
        minimum=0,
        maximum=10_000,
    )


@dataclass(frozen=True, kw_only=True)
class VoteSettings(SelfTrainingSettings):
    """And what its word weighs."""

    self_weight: float = setting(
        0.3,
        "Weight of its scores beside those of the walk, 0 to 1.",
        panel=PANEL,
        minimum=0,
        maximum=1,
    )
