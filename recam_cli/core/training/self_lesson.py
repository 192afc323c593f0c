"""How the segmenter of self-training is trained: as train-seg trains one on photographs of a few hundred pixels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from recam_cli.core.data.transforms import Augmentation
from recam_cli.core.models.segmenters import Segmenter
from recam_cli.core.training.branch_training import Lesson
from recam_cli.core.training.loop import Losses, ParameterGroup
from recam_cli.core.training.schedule import warmed_poly
from recam_cli.core.training.segmentation_loss import cell_counts, segmentation_loss
from recam_cli.core.training.segmenter_training import head_groups

CROP, SIDES = 224, (192, 416)
"""Pixels of the training crop, and the range of the photograph's longer side then."""
_RATE, _HEAD, _WEIGHT_DECAY, _WARM_UP, _JITTER = 0.003, 10.0, 5e-4, 0.05, 0.2


@dataclass(frozen=True)
class SelfLesson(Lesson[Segmenter]):
    """Random scaling, mirroring, crops and colour jitter; cross-entropy against the masks."""

    @classmethod
    def of(cls, epochs: int) -> SelfLesson:
        """Return that of so many passes."""
        return cls(
            title="Self-training",
            augmentation=Augmentation.within(CROP, (1.0, 1.0), SIDES, jitter=_JITTER),
            epochs=epochs,
            batch_size=8,
            momentum=0.9,
        )

    def groups(self, net: Segmenter) -> list[ParameterGroup]:
        """Return the backbone's later stages, and the head, which learns ten times as fast."""
        net.train()
        return head_groups(net, _RATE, _RATE * _HEAD, _WEIGHT_DECAY)

    def schedule(self, step: int, total: int) -> float:
        """Return the factor of the rates, which rise from 0 at first."""
        return warmed_poly(step, total, round(total * _WARM_UP))

    def losses(self, net: Segmenter, images: Tensor, masks: Tensor, of: Tensor | None = None) -> Losses:
        """Return the cross-entropy."""
        maps = net(images)
        with torch.autocast(images.device.type, enabled=False):
            return Losses(segmentation_loss(maps, masks, of=of), {})

    def counts(self, net: Segmenter, masks: Tensor) -> Tensor:
        """Return the numbers of cells of background and of objects."""
        return cell_counts(masks)
