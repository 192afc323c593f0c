"""From seeds and boundary scores to walked seeds: IRN's last step (CVPR 2019, §4; `make_sem_seg` of the code)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from recam_cli.core.affinity.walk import BETA, RADIUS, STEPS, Transition
from recam_cli.core.cams.store import Seed
from recam_cli.core.errors import UsageError

EPSILON = 1e-5


def without_floor(maps: Tensor, floor: float) -> Tensor:
    """Take the background's level off class maps in [0, 1]: max(0, (c - floor) / (1 - floor)).

    Maps read with product weights are high everywhere, and whatever stands on the background walks, too.

    Raises:
        UsageError: `floor` lies outside [0, 1).
    """
    check_floor(floor)
    return ((maps - floor) / (1 - floor)).clamp(min=0)


def walk_start(maps: Tensor, boundaries: Tensor, floor: float) -> Tensor:
    """Return what walks: class maps (..., n, h, w) without the floor, none on boundaries (..., h, w).

    Raises:
        UsageError: `floor` lies outside [0, 1).
    """
    return without_floor(maps, floor) * (1 - boundaries.unsqueeze(-3))


def check_floor(floor: float) -> None:
    """Refuse a level outside [0, 1).

    Raises:
        UsageError: it is.
    """
    if not 0 <= floor < 1:
        raise UsageError(f"the level taken off the seeds before the walk is {floor:g}, but must be from 0 to below 1")


@torch.inference_mode()
def spread_seeds(
    seeds: Sequence[Seed],
    boundaries: Tensor,
    *,
    floor: float = 0.0,
    radius: int = RADIUS,
    beta: float = BETA,
    steps: int = STEPS,
) -> list[Seed]:
    """Spread the class maps of images of one size by a random walk that boundaries hold back.

    Args:
        seeds: B seeds, of photographs of one size.
        boundaries: boundary scores (B, h, w) on the seeds' grid, on the device to compute on.
        floor: see `without_floor`; 0 is as published.
        radius, beta, steps: of the walk.

    Returns:
        B seeds of the same classes; each image's maps divided by the largest value of all of them.

    Raises:
        UsageError: seeds and boundaries differ in number or grid.
    """
    grid = tuple(boundaries.shape[1:])
    if len(seeds) != len(boundaries) or any(seed.maps.shape[1:] != grid for seed in seeds):
        raise UsageError(f"{len(seeds)} seeds do not fit boundaries of shape {tuple(boundaries.shape)}")
    most = max((len(seed.classes) for seed in seeds), default=0)
    if most == 0:
        return list(seeds)
    scores = torch.zeros(len(seeds), most, *grid)
    for number, seed in enumerate(seeds):
        scores[number, : len(seed.classes)] = torch.from_numpy(seed.maps)
    start = walk_start(scores.to(boundaries.device), boundaries, floor)
    walked = Transition.within(boundaries, radius=radius, beta=beta).walk(start, steps)
    walked = walked / (walked.amax(dim=(1, 2, 3), keepdim=True) + EPSILON)
    return [
        Seed(seed.classes, np.ascontiguousarray(maps[: len(seed.classes)]), seed.size)
        for seed, maps in zip(seeds, walked.cpu().numpy(), strict=True)
    ]
