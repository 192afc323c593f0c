"""Training the boundary network on confident labels, apart from where data and files lie (IRN, CVPR 2019, §3.3).

Its displacement branch, where it has one, learns beside it. As the backbone is frozen, neither changes the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from recam_cli.core.affinity.boundary_loss import boundary_loss
from recam_cli.core.affinity.displacement_loss import displacement_loss
from recam_cli.core.data.reading import read_batches
from recam_cli.core.data.transforms import Augmentation, to_tensor
from recam_cli.core.errors import UsageError
from recam_cli.core.hardware import autocast
from recam_cli.core.models.irnet import BoundaryNet
from recam_cli.core.reporter import Reporter
from recam_cli.core.settings.irn import BoundarySettings
from recam_cli.core.training.loader import Batch, TrainingImages
from recam_cli.core.training.loop import Loop, Losses, ParameterGroup, sgd
from recam_cli.core.training.schedule import poly

_LOSSES = ("loss", "background", "same", "different", "displacement_same", "displacement_background")
_MEAN_BATCH = 8
"""Images of equal size that are read together for the field's mean."""


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
    displacement_lr: float = 1.0,
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
        displacement_lr: learning rate of the displacement branch, if there is one.

    Returns:
        The last epoch's mean losses.

    Raises:
        TrainingError: a loss is not finite.
    """
    last: dict[str, float] = {}

    def losses(batch: Batch) -> Losses:
        logits, field = (net(batch.images), None) if net.displacement is None else net.with_field(batch.images)
        labels = F.interpolate(batch.masks[:, None].float(), size=logits.shape[1:], mode="nearest-exact")[:, 0].long()
        with torch.autocast(logits.device.type, enabled=False):
            parts = boundary_loss(logits, labels, radius=settings.irn_radius)
            total = parts.pop("boundary")
            if field is not None:
                parts |= displacement_loss(field, labels, radius=settings.irn_radius)
                total = total + parts.pop("displacement")
        return Losses(total, parts)

    def keep(**line: Any) -> None:
        last.update({k: v for k, v in line.items() if k in _LOSSES})
        log(**line)

    rate, decay = settings.irn_lr, settings.irn_weight_decay
    groups = [ParameterGroup((*net.reduce.parameters(), *net.fuse.parameters()), rate, decay)]
    if net.displacement is not None:
        groups.append(ParameterGroup(net.displacement.parameters(), displacement_lr, decay))
    Loop(
        title="Boundaries",
        data=data,
        epochs=settings.irn_epochs,
        batch_size=min(settings.irn_batch_size, len(data)),
        optimiser=sgd(groups, settings.irn_momentum),
        schedule=poly,
        device=device,
        precision=precision,
        workers=workers,
        reporter=reporter,
        log=keep,
    ).run(losses, lambda epoch: {})
    if net.displacement is not None:
        _centre(net, data, device=device, precision=precision, workers=workers, reporter=reporter)
    return last


@torch.inference_mode()
def _centre(
    net: BoundaryNet, data: TrainingImages, *, device: torch.device, precision: str, workers: int, reporter: Reporter
) -> None:
    """Store the displacement field's mean over the images as they are, each weighing the same."""
    assert net.displacement is not None
    net.displacement.mean.zero_()
    total = torch.zeros(2, dtype=torch.float64)
    batches = read_batches(data.samples, _MEAN_BATCH, max_pixels=data.max_pixels, workers=workers)
    with reporter.track("Mean displacement", len(data)) as progress:
        for batch in batches:
            images = torch.stack([to_tensor(image) for image in batch.images]).to(device)
            with autocast(device, precision):
                field = net.with_field(images)[1]
            total += field.mean(dim=(2, 3)).sum(dim=0).cpu().double()
            progress.advance(len(batch.samples))
    net.displacement.mean.copy_(total / len(data))
