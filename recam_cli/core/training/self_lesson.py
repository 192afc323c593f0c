"""How the segmenter of self-training is trained: as train-seg trains one on one's own photographs."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from recam_cli.core.models.segmenters import Segmenter
from recam_cli.core.settings.self_training import LEARNING
from recam_cli.core.training.branch_training import Lesson
from recam_cli.core.training.loop import Losses, ParameterGroup
from recam_cli.core.training.segmenter_training import (
    augmentation_of,
    counts_of,
    losses_of,
    parameter_groups,
    rate_factor,
)


@dataclass(frozen=True)
class SelfLesson(Lesson[Segmenter]):
    """Random scaling, mirroring, crops and colour jitter; cross-entropy against the masks."""

    @classmethod
    def of(cls, epochs: int) -> SelfLesson:
        """Return that of so many passes."""
        return cls(
            title="Self-training",
            augmentation=augmentation_of(LEARNING),
            epochs=epochs,
            batch_size=LEARNING.batch_size,
            momentum=LEARNING.momentum,
        )

    def groups(self, net: Segmenter) -> list[ParameterGroup]:
        """Return the backbone's later stages, and the head, which learns ten times as fast."""
        return parameter_groups(net, LEARNING)

    def schedule(self, step: int, total: int) -> float:
        """Return the factor of the rates, which rise from 0 at first."""
        return rate_factor(LEARNING, step, total)

    def losses(self, net: Segmenter, images: Tensor, masks: Tensor, of: Tensor | None = None) -> Losses:
        """Return the cross-entropy."""
        return losses_of(net, LEARNING, images, masks, of)

    def counts(self, net: Segmenter, masks: Tensor) -> Tensor:
        """Return the numbers of cells of background and of objects."""
        return counts_of(LEARNING, masks)
