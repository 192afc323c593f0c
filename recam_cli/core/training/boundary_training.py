"""Training the boundary network on confident labels, apart from where data and files lie (IRN, CVPR 2019, §3.3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from recam_cli.core.affinity.boundary_loss import boundary_loss
from recam_cli.core.data.transforms import Augmentation
from recam_cli.core.errors import UsageError
from recam_cli.core.models.irnet import BoundaryNet
from recam_cli.core.reporter import Reporter
from recam_cli.core.settings.irn import BoundarySettings
from recam_cli.core.training.loader import Batch, TrainingImages
from recam_cli.core.training.loop import Loop, Losses, ParameterGroup, sgd
from recam_cli.core.training.schedule import poly


def boundary_augmentation(settings: BoundarySettings) -> Augmentation:
    """Return the random scaling, mirroring and cropping that the settings ask for.

    Raises:
        UsageError: the scale is no range.
    """
    if len(settings.irn_scale) != 2 or settings.irn_scale[0] > settings.irn_scale[1]:
        raise UsageError("--irn-scale: give two numbers, smallest,largest")
    scale = settings.irn_scale[0], settings.irn_scale[1]
    return Augmentation(crop=settings.irn_crop, relative=True, scale=scale)


def train_boundary(
    net: BoundaryNet,
    data: TrainingImages,
    settings: BoundarySettings,
    *,
    device: torch.device,
    precision: str,
    workers: int,
    reporter: Reporter,
    log: Callable[..., None],
) -> dict[str, float]:
    """Train `net`, which lies on `device`, in place; every random choice follows from the data's seed.

    Args:
        net: the network.
        data: augmented images with confident labels as masks.
        settings: schedule.
        device: where the network lies.
        precision: "fp32" or "bf16".
        workers: processes that read images.
        reporter: receives progress.
        log: receives one line per epoch.

    Returns:
        The last epoch's mean losses.

    Raises:
        TrainingError: a loss is not finite.
    """
    last: dict[str, float] = {}

    def losses(batch: Batch) -> Losses:
        logits = net(batch.images)
        labels = F.interpolate(batch.masks[:, None].float(), size=logits.shape[1:], mode="nearest-exact")[:, 0].long()
        with torch.autocast(logits.device.type, enabled=False):
            parts = boundary_loss(logits, labels, radius=settings.irn_radius)
        return Losses(parts.pop("boundary"), parts)

    def keep(**line: Any) -> None:
        last.update({k: v for k, v in line.items() if k in ("loss", "background", "same", "different")})
        log(**line)

    branch = (p for p in net.parameters() if p.requires_grad)
    Loop(
        title="Boundaries",
        data=data,
        epochs=settings.irn_epochs,
        batch_size=min(settings.irn_batch_size, len(data)),
        optimiser=sgd([ParameterGroup(branch, settings.irn_lr, settings.irn_weight_decay)], settings.irn_momentum),
        schedule=poly,
        device=device,
        precision=precision,
        workers=workers,
        reporter=reporter,
        log=keep,
    ).run(losses, lambda epoch: {})
    return last
