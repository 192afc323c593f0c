"""How the boundary network is trained (IRN, CVPR 2019, §3.3)."""

from __future__ import annotations

from recam_cli.core.affinity.boundary_loss import boundary_loss
from recam_cli.core.data.transforms import Augmentation
from recam_cli.core.errors import UsageError
from recam_cli.core.settings.irn import BoundarySettings
from recam_cli.core.training.branch_training import Lesson


def boundary_lesson(settings: BoundarySettings) -> Lesson:
    """Return the random scaling, mirroring and cropping, the loss and the schedule that the settings ask for.

    Raises:
        UsageError: the scale is no range.
    """
    if len(settings.irn_scale) != 2 or settings.irn_scale[0] > settings.irn_scale[1]:
        raise UsageError("--irn-scale: give two numbers, smallest,largest")
    scale = settings.irn_scale[0], settings.irn_scale[1]
    return Lesson(
        title="Boundaries",
        augmentation=Augmentation(crop=settings.irn_crop, relative=True, scale=scale),
        loss=boundary_loss,
        radius=settings.irn_radius,
        epochs=settings.irn_epochs,
        batch_size=settings.irn_batch_size,
        lr=settings.irn_lr,
        weight_decay=settings.irn_weight_decay,
        momentum=settings.irn_momentum,
    )
