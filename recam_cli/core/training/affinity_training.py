"""How the affinity network is trained (PSA, CVPR 2018, §3.3; the rest from its code)."""

from __future__ import annotations

from recam_cli.core.affinity.affinity_loss import RADIUS, affinity_loss
from recam_cli.core.data.transforms import Augmentation
from recam_cli.core.settings.psa import AffinitySettings
from recam_cli.core.training.branch_training import Lesson

BRANCH_FACTOR = 10
"""Layers that start from random weights learn at ten times the rate; with a frozen backbone all do."""
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
        lr=BRANCH_FACTOR * settings.psa_lr,
        weight_decay=_WEIGHT_DECAY,
        momentum=0.0,
    )
