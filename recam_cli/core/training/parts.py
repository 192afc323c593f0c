"""In how many parts the batches of a training are computed, so that a step keeps within its memory.

A part's loss is its share of the whole batch's: every mean in it is taken over what the whole batch holds, which is
counted first (`Splitting.counts`) and needs labels alone. So gradients of the parts add up to the batch's, and a
step in parts differs from a whole one by rounding. That holds where no image of a batch changes what the network makes
of another one. A batch norm in training mode does, and a dropout draws otherwise in parts: batches of such networks
(LR-ASPP and DeepLab v3, or a backbone without weights) are never split, and where one does not fit, it is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from recam_cli.core.footprint import STEP_SLACK, budget_on, line_through, living
from recam_cli.core.hardware import autocast
from recam_cli.core.memory import Budget, host_budget, parts_of
from recam_cli.core.training.loader import Batch

if TYPE_CHECKING:
    from recam_cli.core.training.loop import Losses

REMEDY = "use a smaller crop"
WHOLE_REMEDY = "use a smaller batch or crop"
_SLOTS = 3
"""Batches that lie ready in this process beside the one that is computed; each worker has two in the making."""
_READER = 96 << 20
"""Bytes of a process that reads photographs, beside its batches."""
_READING = 0.25
"""Most of the budget for all of them."""


@dataclass(frozen=True)
class Splitting:
    """What decides on parts.

    Attributes:
        model: the network, on its device.
        memory: as of `--memory`.
        counts: maps a batch, or a part of one, to (n,): what the means of its loss are taken over.
    """

    model: nn.Module
    memory: str
    counts: Callable[[Batch], Tensor]

    def together(
        self,
        batch: Batch,
        losses: Callable[[Batch], Losses],
        *,
        title: str,
        device: torch.device,
        precision: str,
        workers: int,
        states: int = 0,
    ) -> int:
        """Return how many images of a batch are computed together; all where they mix.

        Args:
            batch: one of the training, on its device.
            losses: as of `Loop.run`.
            title: of the phase, for messages.
            device: where the network lies.
            precision: "fp32" or "bf16".
            workers: processes that read.
            states: numbers that the optimiser keeps for each one that learns.

        Raises:
            UsageError, ResourceError: what must be computed together does not fit.
        """
        count, area = len(batch.images), float(batch.images.shape[2] * batch.images.shape[3])

        def step(part: Batch) -> None:
            with autocast(device, precision):
                total = losses(part).total
            learns = [p for p in self.model.parameters() if p.requires_grad]
            if total.requires_grad:
                torch.autograd.grad(total, learns, allow_unused=True)

        one, small = batch.part(slice(0, 1), None), _quarter(batch)
        with _evaluated(self.model), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            cost = line_through(
                (float(small.images.shape[2] * small.images.shape[3]), living(lambda: step(small))),
                (area, living(lambda: step(one))),
                slack=STEP_SLACK,
            )
        learning = sum(p.numel() * p.element_size() for p in self.model.parameters() if p.requires_grad)
        fixed = cost.fixed + (states + 1) * learning  # gradients are in the cost; a snapshot is written from a copy
        budget = _beside_readers(budget_on(self.memory, device), batch, workers, device)
        if mixes(self.model):
            words = f"for a batch of {count} photographs, which {title} cannot split,"
            budget.require(fixed + count * area * cost.per_pixel, title, WHOLE_REMEDY, words)
            return count
        return budget.together(count, area * cost.per_pixel, title, fixed=fixed, remedy=REMEDY)

    def readers(self, wanted: int) -> int:
        """Return how many of the processes that are wanted may read."""
        return host_budget(self.memory).workers(wanted, _READER, share=_READING)

    def parts(self, batch: Batch, together: int) -> Iterator[Batch]:
        """Yield the batch in parts of at most so many images, which know what the whole holds; a whole one as it is."""
        slices = list(parts_of(len(batch.images), together))
        if len(slices) == 1:
            yield batch
            return
        of = torch.stack([self.counts(batch.part(rows, None)) for rows in slices]).sum(dim=0)
        for rows in slices:
            yield batch.part(rows, of)


def mixes(model: nn.Module) -> bool:
    """Return whether an image of a batch changes what the network, in its present mode, makes of another one."""
    return any(
        module.training and (isinstance(module, _BatchNorm) or (isinstance(module, _DropoutNd) and module.p > 0))
        for module in model.modules()
    )


def share_of(count: Tensor | int, of: Tensor | None) -> Tensor | float:
    """Return what a mean over `count` things weighs in one over `of`, of the whole batch; 1 where it is whole."""
    return 1.0 if of is None else count / of.clamp(min=1)


def _beside_readers(budget: Budget, batch: Batch, workers: int, device: torch.device) -> Budget:
    """Return what is left of a budget of main memory beside the batches that are read ahead."""
    if device.type == "cuda":
        return budget
    size = sum(t.numel() * t.element_size() for t in batch if t is not None)
    return replace(budget, total=max(0, budget.total - _SLOTS * size - workers * (2 * size + _READER)))


def _quarter(batch: Batch) -> Batch:
    """Return the first image's upper left quarter as a batch."""
    rows, columns = (max(32, -(-side // 2)) for side in batch.images.shape[2:])
    masks = batch.masks[:1, :rows, :columns] if batch.masks.dim() == 3 else batch.masks[:1]
    images = batch.images[:1, :, :rows, :columns]
    return Batch(images.contiguous(memory_format=torch.channels_last), batch.labels[:1], masks, batch.indices[:1])


@contextmanager
def _evaluated(model: nn.Module) -> Iterator[None]:
    """Put the network in evaluation mode within the block, so that no statistics change."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        for module, _ in modes:
            module.training = False
        yield
    finally:
        for module, mode in modes:
            module.training = mode
