"""Where numbers of a training become NaN or infinite: noticed before the optimiser's step, and kept to be repeated.

`not-finite.safetensors`, beside the training's snapshots, holds the batch (`batch.images`, which the network is given
in channels_last, `batch.labels`, `batch.masks`, `batch.indices`), the weights before the step (`model.<name>`), torch's
generators before the batch (`generator.cpu`, `generator.cuda`), and as JSON in its header, under "facts", where it
happened.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from recam_cli.core.training.loader import Batch

NAME = "not-finite.safetensors"
_LARGEST = torch.finfo(torch.float32).max


@dataclass(frozen=True)
class Fault:
    """What is not finite.

    Attributes:
        what: in words, e.g. "the loss became nan".
        parameters: those concerned; of a loss none.
    """

    what: str
    parameters: tuple[nn.Parameter, ...] = ()


def fault_of_losses(total: float, parts: Mapping[str, float]) -> Fault | None:
    """Return what is wrong with a step's losses, or None where all are finite."""
    if not math.isfinite(total):
        return Fault(f"the loss became {total}")
    wrong = next((name for name, value in parts.items() if not math.isfinite(value)), None)
    return None if wrong is None else Fault(f"the loss {wrong} became {parts[wrong]}")


class StepGuard:
    """Looks at the gradients before each step of SGD, and at what the step would make of the weights.

    A tensor's norm bounds its values from above. Weights and momentum are read once: a step moves the bounds of both by
    no more than the gradients' norms say, so that these alone are read from then on, in one pass, and brought over at
    once. Only where a bound comes near the largest number are weights and momentum read anew.

    Args:
        optimiser: whose parameters are looked at; from the first call on, only its own steps may change them.
    """

    def __init__(self, optimiser: Optimizer) -> None:
        self._optimiser = optimiser
        self._reach: dict[nn.Parameter, tuple[float, float]] = {}

    def fault(self, *, applies: bool) -> Fault | None:
        """Return what is wrong with the gradients or the step; None proves that the step leaves finite weights.

        Args:
            applies: whether the step follows now, or gradients are gathered further.
        """
        groups = {p: group for group in self._optimiser.param_groups for p in group["params"] if p.grad is not None}
        slopes = dict(zip(groups, _bounds([p.grad for p in groups if p.grad is not None]), strict=True))
        wrong = tuple(p for p, slope in slopes.items() if not math.isfinite(slope))
        if wrong:
            return Fault(f"{len(wrong)} of {len(groups)} gradients became NaN or infinite", wrong)
        if not applies:
            return None
        self._read([p for p in groups if p not in self._reach])
        moved = {p: _moved(group, slopes[p], *self._reach[p]) for p, group in groups.items()}
        if near := [p for p, reach in moved.items() if not max(reach) < _LARGEST]:
            self._read(near)
            moved |= {p: _moved(groups[p], slopes[p], *self._reach[p]) for p in near}
        wrong = tuple(p for p, reach in moved.items() if not max(reach) < _LARGEST)
        if wrong:
            return Fault(f"the step would make {len(wrong)} of {len(groups)} weights infinite", wrong)
        self._reach |= moved
        return None

    def _read(self, parameters: Sequence[nn.Parameter]) -> None:
        """Bound the values of parameters, and of their momentum, as they are."""
        moments = {p: self._optimiser.state.get(p, {}).get("momentum_buffer") for p in parameters}
        moving = {p: moment for p, moment in moments.items() if moment is not None}
        sizes = _bounds(list(parameters))
        speeds = dict(zip(moving, _bounds(list(moving.values())), strict=True))
        self._reach |= {p: (size, speeds.get(p, 0.0)) for p, size in zip(parameters, sizes, strict=True)}


def facts_of(fault: Fault, model: nn.Module, losses: Mapping[str, float]) -> dict[str, Any]:
    """Return the JSON-ready part of the facts that the fault, the network and the losses tell."""
    names = {parameter: name for name, parameter in model.named_parameters()}
    return {
        "fault": fault.what,
        "parameters": [names.get(parameter, "?") for parameter in fault.parameters],
        "losses": {name: value if math.isfinite(value) else str(value) for name, value in losses.items()},
    }


def tensors_of(batch: Batch) -> dict[str, Tensor]:
    """Return the batch's tensors by the names they have in the file."""
    return {f"batch.{name}": tensor for name, tensor in batch._asdict().items() if tensor is not None}


def _moved(group: Mapping[str, Any], slope: float, size: float, speed: float) -> tuple[float, float]:
    """Return the bounds of value and momentum after a step of SGD, from those of gradient, value and momentum."""
    speed = group.get("momentum", 0.0) * speed + slope + group["weight_decay"] * size
    return size + group["lr"] * speed, speed


@torch.no_grad()
def _bounds(tensors: Sequence[Tensor]) -> list[float]:
    """Return for each tensor a number that no absolute value of it exceeds, not finite only where a value is not."""
    if not tensors:
        return []
    norms: list[float] = torch.stack([norm.float() for norm in torch._foreach_norm(list(tensors))]).tolist()
    for number, norm in enumerate(norms):
        if not math.isfinite(norm):  # the sum of squares may overflow where no value does
            norms[number] = float(tensors[number].abs().max())
    return norms
