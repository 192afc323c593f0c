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


def fault_of_step(optimiser: Optimizer, *, applies: bool) -> Fault | None:
    """Return what is wrong with the gradients, or with the step of SGD that is to follow; None where all is finite.

    Norms bound every value from above, so that finite norms of gradient, parameter and momentum prove that the step
    leaves finite weights. All are read in one pass and brought over at once.

    Args:
        optimiser: whose parameters have gradients.
        applies: whether the step follows now, or gradients are gathered further.
    """
    owners = [(p, group) for group in optimiser.param_groups for p in group["params"] if p.grad is not None]
    parameters = [parameter for parameter, _ in owners]
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    moments = [optimiser.state.get(parameter, {}).get("momentum_buffer") for parameter in parameters]
    moved = [moment for moment in moments if moment is not None]
    with torch.no_grad():
        bounds = iter(_bounds([*gradients, *parameters, *moved] if applies else gradients))
    slopes = [next(bounds) for _ in gradients]
    wrong = tuple(p for p, slope in zip(parameters, slopes, strict=True) if not math.isfinite(slope))
    if wrong:
        return Fault(f"{len(wrong)} of {len(parameters)} gradients became NaN or infinite", wrong)
    if not applies:
        return None
    sizes = [next(bounds) for _ in parameters]
    speeds = [0.0 if moment is None else next(bounds) for moment in moments]
    wrong = tuple(
        p
        for (p, group), slope, size, speed in zip(owners, slopes, sizes, speeds, strict=True)
        if not _stays_finite(group, slope, size, speed)
    )
    return Fault(f"the step would make {len(wrong)} of {len(parameters)} weights infinite", wrong) if wrong else None


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
    return {f"batch.{name}": tensor for name, tensor in batch._asdict().items()}


def _stays_finite(group: Mapping[str, Any], slope: float, size: float, speed: float) -> bool:
    """Return whether a step of SGD leaves a parameter finite, from bounds of gradient, value and momentum."""
    pull = group.get("momentum", 0.0) * speed + slope + group["weight_decay"] * size
    return bool(pull < _LARGEST and size + group["lr"] * pull < _LARGEST)


def _bounds(tensors: Sequence[Tensor]) -> list[float]:
    """Return for each tensor a number that no absolute value of it exceeds, not finite only where a value is not."""
    if not tensors:
        return []
    norms: list[float] = torch.stack([norm.float() for norm in torch._foreach_norm(list(tensors))]).tolist()
    for number, norm in enumerate(norms):
        if not math.isfinite(norm):  # the sum of squares may overflow where no value does
            norms[number] = float(tensors[number].abs().max())
    return norms
