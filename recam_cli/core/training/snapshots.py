"""What a training keeps of itself, so that one that was killed goes on and ends with the same bits.

A step depends on the network, the optimiser, gradients not yet applied, torch's generator (dropout) and the position;
images follow from (seed, epoch, index) alone. All this is kept at the start of a phase, after each epoch, every few
minutes, and where a signal ends the training.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from recam_cli.core.bounded import reason_of
from recam_cli.core.errors import RunError
from recam_cli.core.reporter import Reporter
from recam_cli.core.runs.files import write_bytes
from recam_cli.core.runs.run import Run
from recam_cli.core.training.not_finite import NAME
from recam_cli.core.training.snapshot_files import Snapshot, SnapshotFolder, packed

_FORMAT = 1
_LARGEST = sys.float_info.max
"""No number of a snapshot is larger; the losses of a training that diverges come near."""
Kind = TypeVar("Kind")


@dataclass
class Position:
    """Where a phase stands.

    Attributes:
        epoch: finished epochs.
        done: finished batches of the phase.
        sums: of the losses of the epoch under way, by name.
        means: losses of the last finished epoch.
        seconds: that the epoch under way has taken.
    """

    epoch: int = 0
    done: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    means: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0


def identity_of(matter: Mapping[str, Any], device: torch.device, precision: str) -> dict[str, Any]:
    """Return what a training's bits depend on, JSON-like by name: settings and inputs, `matter`, and what computes."""
    how = {"deterministic": True} if device.type == "cuda" and torch.are_deterministic_algorithms_enabled() else {}
    return {**matter, **how, "device": device.type, "precision": precision, "snapshot format": _FORMAT}


class Snapshots:
    """Keeps a training, of one phase or several, and restores it.

    Args:
        folder: where.
        identity: what the training depends on, as of `identity_of`.
        model: the network, on its device.
        run: whose metrics log is cut where a training goes on.
        stage: whose lines these are.
        minutes: between snapshots within an epoch; 0: none there.
        reporter: told where a training goes on.
        found: what to go on from.

    Attributes:
        model: the network.
        carried: JSON-like facts that the stage keeps in each snapshot and finds again.
    """

    def __init__(
        self,
        folder: SnapshotFolder,
        identity: Mapping[str, Any],
        model: nn.Module,
        *,
        run: Run,
        stage: str,
        minutes: float,
        reporter: Reporter,
        found: Snapshot | None = None,
    ) -> None:
        self.folder, self.carried = folder, dict(_fact(found, "carried", dict)) if found is not None else {}
        self.model, self._identity, self._run, self._stage = model, identity, run, stage
        self._minutes, self._reporter, self._found = minutes, reporter, found
        self._begun = time.monotonic() - (seconds_of(found) or 0.0)
        self._phase, self._kept = "", 0.0
        self._optimiser: Optimizer | None = None

    def begin(self, phase: str, optimiser: Optimizer) -> Position:
        """Return where `phase` begins: at its start, or where the snapshot found was taken, which is restored.

        Raises:
            RunError: the snapshot does not fit the network, or nothing can be written.
        """
        self._phase, self._optimiser = phase, optimiser
        found, self._found = self._found, None
        if found is None or _fact(found, "phase", str) != phase:
            self.keep(position := Position())
            return position
        position = _position(found)
        try:
            self._restore(found, optimiser)
        except (KeyError, IndexError, RuntimeError, TypeError, ValueError, OverflowError) as error:
            raise RunError(f"{self.folder.path}: snapshots of another network: {reason_of(error)}") from None
        self._run.cut_log(self._stage, _fact(found, "log_size", int))
        self._reporter.info(f"{phase}: going on after epoch {position.epoch}, step {position.done}")
        self._kept = time.monotonic()
        return position

    def carry(self, name: str, default: Kind) -> Kind:
        """Return the carried fact `name`, of the default's type; the default, carried from here on, where it is new.

        Raises:
            RunError: it is of another type.
        """
        value = self.carried.setdefault(name, default)
        if not isinstance(value, type(default)):
            raise _foreign(name)
        return value

    def keep_if_due(self, position: Position, *, gradients: bool) -> None:
        """Keep the training if the last snapshot is old enough; arguments and errors as of `keep`."""
        if self._minutes > 0 and time.monotonic() - self._kept >= 60 * self._minutes:
            self.keep(position, gradients=gradients)

    def keep(self, position: Position, *, gradients: bool = False) -> None:
        """Write a snapshot.

        Args:
            position: where the phase stands.
            gradients: whether gradients wait to be applied.

        Raises:
            RunError: the folder cannot be written.
        """
        optimiser = self._optimiser
        assert optimiser is not None  # set by `begin`
        tensors = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        steps = dict(_of_optimiser(optimiser, gradients))
        facts = {
            "identity": dict(self._identity),
            "phase": self._phase,
            "position": asdict(position),
            "rates": [group["lr"] for group in optimiser.param_groups],
            "strides": {name: list(tensor.stride()) for name, tensor in steps.items()},
            "log_size": self._run.log_size,
            "seconds": time.monotonic() - self._begun,
            "carried": self.carried,
        }
        self.folder.write(Snapshot(tensors | steps | generators(self._device), facts))
        self._kept = time.monotonic()

    def keep_fault(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Path:
        """Keep a step whose numbers are not finite, and the weights before it; return where (`not_finite.NAME`).

        Raises:
            RunError: the folder cannot be written.
        """
        path = self.folder.path / NAME
        weights = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        told = {"stage": self._stage, "phase": self._phase, **facts}
        write_bytes(path, packed(Snapshot({**weights, **tensors}, told)))
        return path

    @property
    def _device(self) -> torch.device:
        return next(self.model.parameters()).device

    def _restore(self, found: Snapshot, optimiser: Optimizer) -> None:
        parameters = _parameters(optimiser)
        state = {n.removeprefix("model."): t for n, t in found.tensors.items() if n.startswith("model.")}
        self.model.load_state_dict(state)
        for name, strides in _fact(found, "strides", dict).items():
            # Strides as they were: how a sum is vectorised, and so its last bit, may depend on them.
            kept = found.tensors[name]
            if sum((n - 1) * s for n, s in zip(kept.shape, strides, strict=True)) + 1 > max(1, kept.numel()):
                raise ValueError(f"strides of {name} that leave gaps")
            tensor = torch.empty_strided(kept.shape, strides, dtype=kept.dtype, device=self._device).copy_(kept)
            what, number, *rest = name.split(".")
            if what == "gradient":
                parameters[int(number)].grad = tensor
            else:
                optimiser.state[parameters[int(number)]][rest[0]] = tensor
        for group, rate in zip(optimiser.param_groups, _fact(found, "rates", list), strict=True):
            group["lr"] = float(rate)
        torch.set_rng_state(found.tensors["generator.cpu"].clone())
        if self._device.type == "cuda":
            torch.cuda.set_rng_state(found.tensors["generator.cuda"].clone(), self._device)


def seconds_of(found: Snapshot | None) -> float | None:
    """Return how long the stage had taken by then, or None without a snapshot."""
    return None if found is None else _number(_fact(found, "seconds", (int, float)), "seconds")


def _fact(found: Snapshot, name: str, kind: type | tuple[type, ...]) -> Any:
    value = found.facts.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise _foreign(name)
    return value


def _number(value: Any, name: str) -> float:
    if type(value) not in (int, float) or not abs(value) <= _LARGEST:
        raise _foreign(name)
    return float(value)


def _position(found: Snapshot) -> Position:
    noted = _fact(found, "position", dict)
    if set(noted) != set(Position.__dataclass_fields__):
        raise _foreign("position")
    counts = [noted["epoch"], noted["done"]]
    if not all(type(count) is int and 0 <= count < _LARGEST for count in counts):
        raise _foreign("position")
    sums, means = noted["sums"], noted["means"]
    if not isinstance(sums, dict) or not isinstance(means, dict):
        raise _foreign("position")
    sums, means = ({name: _number(value, name) for name, value in part.items()} for part in (sums, means))
    return Position(counts[0], counts[1], sums, means, _number(noted["seconds"], "seconds"))


def _foreign(name: str) -> RunError:
    return RunError(
        f"the snapshot's {name} is not what a training notes",
        remedy="It may be of another version: begin anew, without --resume",
    )


def _parameters(optimiser: Optimizer) -> list[nn.Parameter]:
    return [parameter for group in optimiser.param_groups for parameter in group["params"]]


def _of_optimiser(optimiser: Optimizer, gradients: bool) -> Iterator[tuple[str, Tensor]]:
    """Yield the optimiser's tensors and, if asked for, the gradients, by a name with the parameter's number."""
    for number, parameter in enumerate(_parameters(optimiser)):
        for name, value in optimiser.state.get(parameter, {}).items():
            if isinstance(value, Tensor):
                yield f"optimiser.{number}.{name}", value
        if gradients and parameter.grad is not None:
            yield f"gradient.{number}", parameter.grad


def generators(device: torch.device) -> dict[str, Tensor]:
    """Return the states of torch's generators, by name."""
    found = {"generator.cpu": torch.get_rng_state()}
    return found | ({"generator.cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else {})
