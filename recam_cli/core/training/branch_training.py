"""Training the networks of make-masks on its own label maps, apart from where data and files lie."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic

import torch
import torch.nn.functional as F
from torch import Tensor

from recam_cli.core.data.transforms import Augmentation
from recam_cli.core.memory import AUTO
from recam_cli.core.models.branch_files import Trained
from recam_cli.core.reporter import Reporter
from recam_cli.core.training.loader import TrainingImages
from recam_cli.core.training.loop import Loop, Losses, ParameterGroup, sgd
from recam_cli.core.training.parts import Splitting
from recam_cli.core.training.schedule import poly
from recam_cli.core.training.snapshots import Snapshots


@dataclass(frozen=True)
class Place:
    """Where and how networks are trained.

    Attributes:
        device: where the network lies.
        precision: "fp32" or "bf16".
        workers: processes that read images.
        reporter: receives progress.
        memory: what it may take, as of `--memory`.
    """

    device: torch.device
    precision: str
    workers: int
    reporter: Reporter
    memory: str = AUTO


@dataclass(frozen=True)
class Lesson(ABC, Generic[Trained]):
    """How one kind of network is trained: by SGD, with the poly schedule unless it says otherwise.

    Attributes:
        title: of the phase.
        augmentation: what is drawn for each image.
        epochs, batch_size, momentum: of the schedule.
    """

    title: str
    augmentation: Augmentation
    epochs: int
    batch_size: int
    momentum: float

    @abstractmethod
    def groups(self, net: Trained) -> list[ParameterGroup]:
        """Return what learns, and how fast."""

    @abstractmethod
    def losses(self, net: Trained, images: Tensor, masks: Tensor, of: Tensor | None = None) -> Losses:
        """Return the losses of normalised images (B, 3, H, W) with confident labels (B, H, W); runs under autocast.

        `of` is the sum of `counts` over the batch that they are a part of; None: they are all of it.
        """

    @abstractmethod
    def counts(self, net: Trained, masks: Tensor) -> Tensor:
        """Return what the losses' means are taken over, (n,), of confident labels (B, H, W)."""

    def schedule(self, step: int, total: int) -> float:
        """Return the factor of the rates at a step of `total`."""
        return poly(step, total)

    def finish(self, net: Trained, data: TrainingImages, place: Place) -> None:
        """Do what is left to do after the last epoch."""


def labels_on(masks: Tensor, grid: tuple[int, ...]) -> Tensor:
    """Return labels (B, H, W) on a `grid` of cells, nearest, int64 (B, *grid)."""
    return F.interpolate(masks[:, None].float(), size=grid, mode="nearest-exact")[:, 0].long()


def train_branch(
    net: Trained,
    data: TrainingImages,
    lesson: Lesson[Trained],
    place: Place,
    log: Callable[..., None],
    snapshots: Snapshots | None = None,
) -> dict[str, float]:
    """Train `net`, which lies on the device, in place; every random choice follows from the data's seed.

    Args:
        net: the network.
        data: augmented images with confident labels as masks.
        lesson: loss and schedule.
        place: where it is trained.
        log: receives one line per epoch.
        snapshots: keep and restore the training; None keeps nothing.

    Returns:
        The last epoch's mean losses.

    Raises:
        TrainingError: a loss is not finite.
        RunError: a snapshot cannot be written.
    """
    net.train()
    means = Loop(
        title=lesson.title,
        data=data,
        epochs=lesson.epochs,
        batch_size=min(lesson.batch_size, len(data)),
        optimiser=sgd(lesson.groups(net), lesson.momentum),
        schedule=lesson.schedule,
        device=place.device,
        precision=place.precision,
        workers=place.workers,
        reporter=place.reporter,
        log=log,
        snapshots=snapshots,
        splitting=Splitting(net, place.memory, lambda batch: lesson.counts(net, batch.masks)),
    ).run(lambda batch: lesson.losses(net, batch.images, batch.masks, batch.of), lambda epoch: {})
    lesson.finish(net, data, place)
    return means
