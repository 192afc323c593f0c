"""Learning-rate schedules as pure functions of the step."""

from __future__ import annotations

from torch.optim import Optimizer


def poly(step: int, total: int, power: float = 0.9) -> float:
    """Return the factor (1 - step/total)^power of the initial learning rate; 0 ≤ step ≤ total."""
    return float(max(0.0, 1 - step / max(1, total)) ** power)


def warmed_poly(step: int, total: int, warm_up: int, power: float = 0.9) -> float:
    """Return `poly` multiplied by a linear rise over the first `warm_up` steps."""
    rise = min(1.0, (step + 1) / warm_up) if warm_up > 0 else 1.0
    return rise * poly(step, total, power)


def set_rates(optimiser: Optimizer, factor: float) -> None:
    """Set every group's learning rate to its `initial_lr` times `factor`."""
    for group in optimiser.param_groups:
        group["lr"] = group["initial_lr"] * factor
