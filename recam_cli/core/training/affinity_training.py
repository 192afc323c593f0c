"""How the affinity network is trained (PSA, CVPR 2018, §3.3; the rest from its code).

Published: rate 0.1 for the backbone and ten times that for the new layers. Here the backbone is frozen and the new
layers learn at the plain rate: at ten times it, masks of photographs lost 3 points of mIoU after the walk.
"""

from __future__ import annotations

from recam_cli.core.affinity.affinity_loss import RADIUS, affinity_loss
from recam_cli.core.data.transforms import Augmentation
from recam_cli.core.settings.psa import AffinitySettings
from recam_cli.core.training.branch_training import Lesson

_WEIGHT_DECAY = 5e-4
_JITTER = 0.3


def affinity_lesson(settings: AffinitySettings) -> Lesson:
    """Return the cropping, mirroring and colour jitter, the loss and the schedule that the settings ask for."""
    return Lesson(
        title="Affinities",
        augmentation=Augmentation(crop=settings.psa_crop, relative=True, scale=(1.0, 1.0), jitter=_JITTER),
        loss=affinity_loss,
        radius=RADIUS,
        epochs=settings.psa_epochs,
        batch_size=settings.psa_batch_size,
        lr=settings.psa_lr,
        weight_decay=_WEIGHT_DECAY,
        momentum=0.0,
    )
