"""How the affinity network is trained (PSA, CVPR 2018, §3.3; the rest from its code).

Published: rate 0.1 for the backbone and ten times that for the new layers. Here the backbone is frozen and the new
layers learn at the plain rate: at ten times it, masks of photographs lost 3 points of mIoU after the walk. Published
labels are means of both CRFs' scores over a cell, colours are jittered in hue, too; here a cell takes the agreed label
of its middle pixel, and hue stays.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from recam_cli.core.affinity.affinity_loss import RADIUS, affinity_loss
from recam_cli.core.affinity.label_pairs import pair_counts
from recam_cli.core.data.transforms import Augmentation
from recam_cli.core.models.affinity_net import AffinityNet
from recam_cli.core.settings.psa import AffinitySettings
from recam_cli.core.training.branch_training import Lesson, labels_on
from recam_cli.core.training.loop import Losses, ParameterGroup

_WEIGHT_DECAY = 5e-4
_JITTER = 0.3


@dataclass(frozen=True)
class AffinityLesson(Lesson[AffinityNet]):
    """Crops, mirroring and colour jitter; the loss over pairs of features.

    Attributes:
        rate: the branch's learning rate.
    """

    rate: float

    @classmethod
    def of(cls, settings: AffinitySettings) -> AffinityLesson:
        """Return what the settings ask for."""
        return cls(
            title="Affinities",
            augmentation=Augmentation(crop=settings.psa_crop, relative=True, scale=(1.0, 1.0), jitter=_JITTER),
            epochs=settings.psa_epochs,
            batch_size=settings.psa_batch_size,
            momentum=0.0,
            rate=settings.psa_lr,
        )

    def groups(self, net: AffinityNet) -> list[ParameterGroup]:
        """Return the branch; the backbone is frozen."""
        return [ParameterGroup((*net.reduce.parameters(), *net.fuse.parameters()), self.rate, _WEIGHT_DECAY)]

    def losses(self, net: AffinityNet, images: Tensor, masks: Tensor, of: Tensor | None = None) -> Losses:
        """Return the affinity loss and its three means."""
        features = net(images)
        with torch.autocast(features.device.type, enabled=False):
            loss = affinity_loss(features, labels_on(masks, features.shape[2:]), of=of)
        return Losses(loss.total, loss.means())

    def counts(self, net: AffinityNet, masks: Tensor) -> Tensor:
        """Return the numbers of pairs of each kind."""
        return pair_counts(labels_on(masks, net.grid_size(*masks.shape[1:])), RADIUS)
