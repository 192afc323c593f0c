"""The training loop that the classifier's two phases and the segmenter share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from recam_cli.core.errors import RunError, TrainingError
from recam_cli.core.hardware import autocast
from recam_cli.core.reporter import Progress, Reporter
from recam_cli.core.resources import told_where
from recam_cli.core.runs.stage_facts import TOGETHER_NOTE
from recam_cli.core.signals import Interrupted
from recam_cli.core.training.loader import (
    Batch,
    TrainingImages,
    batches_per_epoch,
    epoch_batches,
    load_batches,
)
from recam_cli.core.training.not_finite import Fault, StepGuard, facts_of, fault_of_losses, tensors_of
from recam_cli.core.training.parts import Splitting
from recam_cli.core.training.schedule import set_rates
from recam_cli.core.training.snapshots import Position, Snapshots, generators


class Losses(NamedTuple):
    """What one step optimises and what it shows: `total` is a scalar in the graph, `parts` named scalars."""

    total: Tensor
    parts: dict[str, Tensor]


class ParameterGroup(NamedTuple):
    """Parameters that share an initial learning rate and a weight decay."""

    parameters: Iterable[nn.Parameter]
    learning_rate: float
    weight_decay: float


def sgd(groups: list[ParameterGroup], momentum: float) -> torch.optim.SGD:
    """Return SGD over the groups' trainable parameters; empty groups are left out."""
    return torch.optim.SGD(_trainable(groups), momentum=momentum)


def adamw(groups: list[ParameterGroup]) -> torch.optim.AdamW:
    """Return AdamW over the groups' trainable parameters; empty groups are left out."""
    return torch.optim.AdamW(_trainable(groups))


def _trainable(groups: list[ParameterGroup]) -> list[dict[str, Any]]:
    made = []
    for group in groups:
        trainable = [p for p in group.parameters if p.requires_grad]
        if trainable:
            rate = group.learning_rate
            made.append({"params": trainable, "lr": rate, "initial_lr": rate, "weight_decay": group.weight_decay})
    return made


@dataclass(frozen=True)
class Loop:
    """One phase of training.

    Attributes:
        title: shown beside the bar and logged as `phase`.
        data: the augmented images.
        epochs: passes over them; epoch numbers start at `first_epoch`, so that phases draw different augmentations.
        batch_size: images per step; a last incomplete batch is dropped.
        optimiser: with `initial_lr` in every group, as from `sgd`.
        schedule: maps (step, total steps) to the factor of the initial learning rates.
        device: where the model lies.
        precision: "fp32" or "bf16".
        workers: processes that read images.
        reporter: receives progress.
        log: receives one line per epoch for `metrics.jsonl`.
        accumulate: batches whose gradients are averaged per optimiser step.
        iterations: stop after so many batches, within the epochs; None runs them all.
        snapshots: keep and restore the training; None keeps nothing.
        splitting: in how many parts a batch is computed; None computes it whole. A training that goes on keeps to the
            parts it began with, where they fit, so that it ends with the same bits.
    """

    title: str
    data: TrainingImages
    epochs: int
    batch_size: int
    optimiser: torch.optim.Optimizer
    schedule: Callable[[int, int], float]
    device: torch.device
    precision: str
    workers: int
    reporter: Reporter
    log: Callable[..., None]
    first_epoch: int = 0
    accumulate: int = 1
    iterations: int | None = None
    snapshots: Snapshots | None = None
    splitting: Splitting | None = None

    @property
    def total_batches(self) -> int:
        """Batches of the whole phase."""
        full = self.epochs * batches_per_epoch(len(self.data), self.batch_size)
        return full if self.iterations is None else min(full, self.iterations)

    def run(self, losses: Callable[[Batch], Losses], after_epoch: Callable[[int], dict[str, Any]]) -> dict[str, float]:
        """Train.

        Args:
            losses: maps a batch on the device to its losses; runs under autocast.
            after_epoch: called with the number of finished epochs; returns figures to log beside the losses.

        Returns:
            The last epoch's mean losses by name.

        Raises:
            TrainingError: a loss or a gradient is not finite, or weights would become so; the message names phase,
                epoch, step and image ids, and the file that keeps the batch. The weights are those before the step.
            ResourceError: there is not enough memory; the message names phase, epoch, step and image ids, too.
            RunError: a snapshot cannot be written.
        """
        at = Position() if self.snapshots is None else self.snapshots.begin(self.title, self.optimiser)
        full = batches_per_epoch(len(self.data), self.batch_size)
        readers = self.workers if self.splitting is None else self.splitting.readers(self.workers)
        step = _Step(self, losses, StepGuard(self.optimiser), readers)
        with self.reporter.track(self.title, self.total_batches * self.batch_size, "image") as progress:
            if at.done:
                progress.advance(at.done * self.batch_size)
            while at.epoch < self.epochs and at.epoch * full < self.total_batches:
                begun = time.monotonic() - at.seconds
                self._epoch(at, step, progress, begun)
                factor = self.schedule(at.done - 1, self.total_batches)
                extra = after_epoch(at.epoch)
                seconds = round(time.monotonic() - begun, 3)
                self.log(
                    phase=self.title,
                    epoch=at.epoch,
                    step=at.done,
                    **at.means,
                    lr_factor=factor,
                    seconds=seconds,
                    **extra,
                )
                if self.snapshots is not None:
                    self.snapshots.keep(at, gradients=self._gradients_wait(at.done))
        return at.means

    def _epoch(self, at: Position, step: _Step, progress: Progress, begun: float) -> None:
        """Train for what is left of an epoch, and move `at` to the start of the next."""
        first = at.epoch * batches_per_epoch(len(self.data), self.batch_size)
        keys = epoch_batches(len(self.data), self.batch_size, self.data.seed, self.first_epoch + at.epoch)
        keys = keys[: self.total_batches - first]
        with closing(load_batches(self.data, keys[at.done - first :], step.readers)) as batches:
            for batch in batches:
                with told_where(partial(self._where, batch, at)):
                    parts = self._step(step, batch, at.epoch, at.done)
                at.done += 1
                for name, value in parts.items():
                    at.sums[name] = at.sums.get(name, 0.0) + value
                at.seconds = time.monotonic() - begun
                try:
                    progress.advance(len(batch.indices), epoch=at.epoch + 1, **parts)
                except Interrupted:
                    if self.snapshots is not None:
                        self.snapshots.keep(at, gradients=self._gradients_wait(at.done))
                    raise
                if self.snapshots is not None:
                    self.snapshots.keep_if_due(at, gradients=self._gradients_wait(at.done))
        at.means = {name: round(value / len(keys), 6) for name, value in at.sums.items()}
        at.epoch, at.sums, at.seconds = at.epoch + 1, {}, 0.0

    def _step(self, step: _Step, batch: Batch, epoch: int, done: int) -> dict[str, float]:
        return step(batch, epoch, done)

    def _where(self, batch: Batch, at: Position) -> str:
        return f"{self.title}, in epoch {at.epoch + 1}, step {at.done + 1}, at images {', '.join(self._ids(batch))}"

    def _ids(self, batch: Batch) -> list[str]:
        return [self.data.samples[int(i)].id for i in batch.indices]

    def _gradients_wait(self, done: int) -> bool:
        """Return whether gradients of some of the first `done` batches are not applied yet."""
        return done % self.accumulate != 0 and done != self.total_batches

    def _stopped_by(
        self,
        fault: Fault,
        batch: Batch,
        losses: dict[str, float],
        drawn: dict[str, Tensor],
        epoch: int,
        done: int,
    ) -> TrainingError:
        """Keep the batch, the weights and torch's generators, `drawn`, as they were before it; return the error."""
        ids = self._ids(batch)
        where = f"in epoch {epoch + 1}, step {done + 1}, at images {', '.join(ids)}"
        kept = ""
        if self.snapshots is not None:
            facts = {
                **facts_of(fault, self.snapshots.model, losses),
                "epoch": epoch + 1,
                "step": done + 1,
                "images": ids,
                "seed": self.data.seed,
                "rates": [group["lr"] for group in self.optimiser.param_groups],
                "precision": self.precision,
            }
            if facts["parameters"]:
                kept = f", {facts['parameters'][0]} first"
            try:
                path = self.snapshots.keep_fault(tensors_of(batch) | drawn, facts)
                kept += f"; batch and weights are kept in {path}"
            except RunError as error:
                kept += f"; the batch could not be kept: {error.message}"
        last = "; the weights of the last finished epoch are kept" if epoch else ""
        return TrainingError(f"{self.title}: {fault.what} {where}{kept}", remedy=f"Lower the learning rate{last}")


@dataclass
class _Step:
    """One step of a loop after another.

    Attributes:
        loop: whose.
        losses: as of its `run`.
        guard: looks at gradients and weights.
        readers: processes that read.
        together: images of a batch that are computed together; 0 before the first step.
    """

    loop: Loop
    losses: Callable[[Batch], Losses]
    guard: StepGuard
    readers: int
    together: int = 0

    def __call__(self, batch: Batch, epoch: int, done: int) -> dict[str, float]:
        """Compute a batch and, where its turn is, apply the gradients; return the losses by name."""
        loop, parts, fault = self.loop, dict[str, float](), None
        moved = _moved(batch, loop.device)
        self._measure(moved)
        if done % loop.accumulate == 0:
            set_rates(loop.optimiser, loop.schedule(done, loop.total_batches))
            loop.optimiser.zero_grad(set_to_none=True)
        drawn = {} if loop.snapshots is None else generators(loop.device)
        for part in self._parts(moved):
            with autocast(loop.device, loop.precision):
                result = self.losses(part)
            for name, value in {"loss": result.total, **result.parts}.items():
                parts[name] = parts.get(name, 0.0) + float(value.detach())
            fault = fault_of_losses(parts["loss"], {name: value for name, value in parts.items() if name != "loss"})
            if fault is not None:
                break
            (result.total / loop.accumulate).backward()  # type: ignore[no-untyped-call]
            del result  # what autograd keeps of it would lie beside the next part
        applies = not loop._gradients_wait(done + 1)
        fault = fault or self.guard.fault(applies=applies)
        if fault is not None:
            raise loop._stopped_by(fault, batch, parts, drawn, epoch, done)
        if applies:
            loop.optimiser.step()
        return parts

    def _parts(self, batch: Batch) -> Iterable[Batch]:
        splitting = self.loop.splitting
        return [batch] if splitting is None else splitting.parts(batch, self.together)

    def _measure(self, batch: Batch) -> None:
        """Decide on parts before the first step; a training that goes on keeps to its own, where they fit."""
        loop = self.loop
        if self.together or loop.splitting is None:
            return
        self.together = loop.splitting.together(
            batch,
            self.losses,
            title=loop.title,
            device=loop.device,
            precision=loop.precision,
            workers=self.readers,
            states=_states_of(loop.optimiser),
        )
        if loop.snapshots is not None:
            began: dict[str, int] = loop.snapshots.carry(TOGETHER_NOTE, {})
            self.together = began[loop.title] = min(self.together, began.get(loop.title, self.together))


def _states_of(optimiser: torch.optim.Optimizer) -> int:
    """Return how many numbers an optimiser keeps for each one that learns."""
    if isinstance(optimiser, torch.optim.SGD):
        return int(any(group["momentum"] for group in optimiser.param_groups))
    return 2


def _moved(batch: Batch, device: torch.device) -> Batch:
    images = batch.images.to(device, non_blocking=True)
    if device.type != "mps":
        images = images.contiguous(memory_format=torch.channels_last)
    return Batch(images, batch.labels.to(device), batch.masks.to(device), batch.indices)
