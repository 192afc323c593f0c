"""Training a network that guides a walk on confident labels, apart from where data and files lie."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from recam_cli.core.affinity.label_pairs import PairLoss
from recam_cli.core.data.transforms import Augmentation
from recam_cli.core.models.branch import Branch
from recam_cli.core.reporter import Reporter
from recam_cli.core.training.loader import Batch, TrainingImages
from recam_cli.core.training.loop import Loop, Losses, ParameterGroup, sgd
from recam_cli.core.training.schedule import poly


class LossOfOutput(Protocol):
    """The loss of a network's output (B, …, h, w) against confident labels (B, h, w)."""

    def __call__(self, output: Tensor, labels: Tensor, /, *, radius: int) -> PairLoss:
        """Return it for pairs nearer than `radius` cells."""
        ...


@dataclass(frozen=True)
class Lesson:
    """How one kind of network is trained.

    Attributes:
        title: of the phase.
        augmentation: what is drawn for each image.
        loss: of the output.
        radius: of the pairs that teach, in cells.
        epochs, batch_size, lr, weight_decay, momentum: SGD with the poly schedule.
    """

    title: str
    augmentation: Augmentation
    loss: LossOfOutput
    radius: int
    epochs: int
    batch_size: int
    lr: float
    weight_decay: float
    momentum: float


def train_branch(
    net: Branch,
    data: TrainingImages,
    lesson: Lesson,
    *,
    device: torch.device,
    precision: str,
    workers: int,
    reporter: Reporter,
    log: Callable[..., None],
) -> dict[str, float]:
    """Train `net`, which lies on `device`, in place; every random choice follows from the data's seed.

    Args:
        net: the network; what of it requires a gradient learns.
        data: augmented images with confident labels as masks.
        lesson: loss and schedule.
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
        output = net(batch.images)
        labels = F.interpolate(batch.masks[:, None].float(), size=output.shape[-2:], mode="nearest-exact")[:, 0].long()
        with torch.autocast(output.device.type, enabled=False):
            loss = lesson.loss(output, labels, radius=lesson.radius)
        return Losses(loss.total, {"background": loss.background, "same": loss.same, "different": loss.different})

    def keep(**line: Any) -> None:
        last.update({k: v for k, v in line.items() if k in ("loss", "background", "same", "different")})
        log(**line)

    branch = (p for p in net.parameters() if p.requires_grad)
    Loop(
        title=lesson.title,
        data=data,
        epochs=lesson.epochs,
        batch_size=min(lesson.batch_size, len(data)),
        optimiser=sgd([ParameterGroup(branch, lesson.lr, lesson.weight_decay)], lesson.momentum),
        schedule=poly,
        device=device,
        precision=precision,
        workers=workers,
        reporter=reporter,
        log=keep,
    ).run(losses, lambda epoch: {})
    return last
