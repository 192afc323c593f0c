"""Training a segmenter: parameter groups, schedule and the loop's losses, apart from where data and files lie."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from recam_cli.core.data.samples import IGNORE
from recam_cli.core.data.transforms import Augmentation
from recam_cli.core.errors import DataError, UsageError
from recam_cli.core.models.segmenters import Segmenter
from recam_cli.core.reporter import Reporter
from recam_cli.core.settings.train_seg import TrainSegSettings
from recam_cli.core.training.loader import Batch, TrainingImages
from recam_cli.core.training.loop import Loop, Losses, ParameterGroup, sgd
from recam_cli.core.training.parts import Splitting
from recam_cli.core.training.schedule import warmed_poly
from recam_cli.core.training.segmentation_loss import cell_counts, segmentation_loss
from recam_cli.core.training.snapshots import Snapshots


def check_schedule(settings: TrainSegSettings, images: int) -> None:
    """Refuse settings that cannot train.

    Raises:
        UsageError: a range that is none, or batches too small for the network.
    """
    for option, given in (("--scale", settings.scale), ("--side", settings.side)):
        if len(given) != 2 or given[0] > given[1]:
            raise UsageError(f"{option}: give two numbers, smallest,largest")
    if settings.network == "deeplabv3" and min(settings.batch_size, images) < 2:
        raise UsageError(
            "deeplabv3 normalises over the batch and needs at least 2 images in it", remedy="Use deeplabv2"
        )


def augmentation_of(settings: TrainSegSettings) -> Augmentation:
    """Return the random scaling, mirroring, cropping and colour jitter that the settings ask for."""
    return Augmentation.within(settings.crop, settings.scale, settings.side, jitter=settings.jitter)


def parameter_groups(segmenter: Segmenter, settings: TrainSegSettings) -> list[ParameterGroup]:
    """Return the backbone at `lr`, the head's weights faster, its biases twice as fast and without decay (§6)."""
    head = list(segmenter.head.named_parameters())
    rate = settings.lr * settings.head_lr_factor
    return [
        ParameterGroup(segmenter.backbone.parameters(), settings.lr, settings.weight_decay),
        ParameterGroup([p for n, p in head if not n.endswith("bias")], rate, settings.weight_decay),
        ParameterGroup([p for n, p in head if n.endswith("bias")], 2 * rate, 0.0),
    ]


def rate_factor(settings: TrainSegSettings, step: int, total: int) -> float:
    """Return the factor of the rates at a step of `total`."""
    return warmed_poly(step, total, round(total * settings.warm_up))


def losses_of(
    segmenter: Segmenter, settings: TrainSegSettings, images: Tensor, masks: Tensor, of: Tensor | None
) -> Losses:
    """Return the loss of normalised images (B, 3, H, W) with masks (B, H, W); runs under autocast.

    `of` is the sum of `counts_of` over the batch that they are a part of; None: they are all of it.
    """
    maps = segmenter(images)
    with torch.autocast(images.device.type, enabled=False):
        stride, balanced = settings.loss_stride, settings.balanced
        return Losses(segmentation_loss(maps, masks, stride=stride, balanced=balanced, of=of), {})


def counts_of(settings: TrainSegSettings, masks: Tensor) -> Tensor:
    """Return what the means of `losses_of` are taken over, (2,), of masks (B, H, W)."""
    return cell_counts(masks, settings.loss_stride)


def freeze_stages(segmenter: Segmenter, count: int) -> None:
    """Take the backbone's first `count` stages out of training."""
    segmenter.backbone.freeze_stages(count)


def train_segmenter(
    segmenter: Segmenter,
    data: TrainingImages,
    settings: TrainSegSettings,
    *,
    device: torch.device,
    precision: str,
    reporter: Reporter,
    log: Callable[..., None],
    after_epoch: Callable[[int], None],
    snapshots: Snapshots | None = None,
) -> dict[str, float]:
    """Train `segmenter`, which lies on `device`, in place; every random choice follows from the settings' seed.

    Args:
        segmenter: the network.
        data: augmented images with masks.
        settings: schedule and loss.
        device: where the network lies.
        precision: "fp32" or "bf16".
        reporter: receives progress.
        log: receives one line per epoch.
        after_epoch: called with the number of finished epochs.
        snapshots: keep and restore the training; None keeps nothing.

    Returns:
        The last epoch's mean losses by name.

    Raises:
        TrainingError: the loss became NaN or infinite; the message names the batch.
        DataError: a mask holds a value that is no class.
        RunError: a snapshot cannot be written.
    """

    def losses(batch: Batch) -> Losses:
        _check_values(batch, segmenter.num_values, data)
        return losses_of(segmenter, settings, batch.images, batch.masks, batch.of)

    def finished(epoch: int) -> dict[str, Any]:
        after_epoch(epoch)
        return {}

    freeze_stages(segmenter, settings.freeze_stages)
    segmenter.train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)  # dropout draws from torch's global generator
        loop = _loop(segmenter, data, settings, device, precision, reporter, log)
        means = replace(loop, snapshots=snapshots).run(losses, finished)
    segmenter.eval()
    return means


def _loop(
    segmenter: Segmenter,
    data: TrainingImages,
    settings: TrainSegSettings,
    device: torch.device,
    precision: str,
    reporter: Reporter,
    log: Callable[..., None],
) -> Loop:
    return Loop(
        title="Segmenter",
        data=data,
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        optimiser=sgd(parameter_groups(segmenter, settings), settings.momentum),
        schedule=partial(rate_factor, settings),
        device=device,
        precision=precision,
        workers=settings.workers,
        reporter=reporter,
        log=log,
        accumulate=settings.accumulate,
        iterations=settings.iterations,
        splitting=Splitting(segmenter, settings.memory, lambda batch: counts_of(settings, batch.masks)),
    )


def _check_values(batch: Batch, num_values: int, data: TrainingImages) -> None:
    wrong = (batch.masks >= num_values) & (batch.masks != IGNORE)
    if bool(wrong.any()):
        row = int(wrong.flatten(1).any(dim=1).nonzero()[0])
        sample = data.samples[int(batch.indices[row])]
        value = int(batch.masks[row][wrong[row]][0])
        raise DataError(
            f"{sample.mask}: holds value {value}, but the classes end at {num_values - 1}",
            remedy="Make the masks anew for this list of classes",
        )
