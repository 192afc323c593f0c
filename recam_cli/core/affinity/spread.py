"""From seeds and boundary scores to walked seeds: IRN's last step (CVPR 2019, §4; `make_sem_seg` of the code)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from recam_cli.core.affinity.walk import BETA, RADIUS, STEPS, Transition
from recam_cli.core.cams.store import Seed
from recam_cli.core.data.samples import BACKGROUND, IGNORE
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
    """Return what walks: class maps (..., n, h, w) without the floor, none on boundaries (..., h', w'), on their grid.

    Raises:
        UsageError: `floor` lies outside [0, 1).
    """
    return without_floor(on_grid(maps, boundaries.shape[-2:]), floor) * (1 - boundaries.unsqueeze(-3))


def on_grid(maps: Tensor, grid: Sequence[int]) -> Tensor:
    """Return maps (..., n, h, w) on another grid (rows, columns): bilinear onto a finer one, means onto a coarser."""
    if tuple(maps.shape[-2:]) == tuple(grid):
        return maps
    flat = maps.reshape(-1, 1, *maps.shape[-2:])
    if maps.shape[-2] > grid[0]:
        found = F.interpolate(flat, size=tuple(grid), mode="area")
    else:
        found = F.interpolate(flat, size=tuple(grid), mode="bilinear", align_corners=False)
    return found.reshape(*maps.shape[:-2], *grid)


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
    labels: Sequence[np.ndarray] | None = None,
    radius: int = RADIUS,
    beta: float = BETA,
    steps: int = STEPS,
) -> list[Seed]:
    """Spread the class maps of images of one size by a random walk that boundaries hold back.

    Without `labels`, as published, the class maps walk alone, and each image's are divided by the largest value of all
    of them. With them, they say what walks: a cell that is decided sends out its label, the background among them, and
    an undecided one its class scores, and what these leave to the background. A class then scores
    c / (largest class + background), above 0.5 where it wins: what leaks into a region is outvoted by what is known of
    it.

    Args:
        seeds: B seeds, of photographs of one size.
        boundaries: boundary scores (B, h, w) on any grid over the photographs, on the device to compute on.
        floor: see `without_floor`; 0 is as published.
        labels: per image confident labels, uint8 (H, W), 255 undecided; or None.
        radius, beta, steps: of the walk, on the grid of `boundaries`.

    Returns:
        B seeds of the same classes, on their own grid, in [0, 1].

    Raises:
        UsageError: seeds and boundaries differ in number, or seeds in their grid.
    """
    grids = {seed.maps.shape[1:] for seed in seeds}
    if len(seeds) != len(boundaries) or len(grids) > 1:
        raise UsageError(f"{len(seeds)} seeds of grids {sorted(grids)} do not fit {len(boundaries)} boundary maps")
    most = max((len(seed.classes) for seed in seeds), default=0)
    if most == 0:
        return list(seeds)
    maps = torch.zeros(len(seeds), most, *seeds[0].maps.shape[1:])
    for number, seed in enumerate(seeds):
        maps[number, : len(seed.classes)] = torch.from_numpy(seed.maps)
    start = without_floor(on_grid(maps.to(boundaries.device), boundaries.shape[1:]), floor)
    if labels is not None:
        start = labelled_start(start, labels, [seed.classes for seed in seeds])
    transition = Transition.within(boundaries, radius=radius, beta=beta)
    walked = transition.walk(start * (1 - boundaries[:, None]), steps)
    walked = on_grid(_alone(walked) if labels is None else _beside_background(walked), maps.shape[2:]).cpu()
    return [
        Seed(seed.classes, np.ascontiguousarray(found[: len(seed.classes)]), seed.size)
        for seed, found in zip(seeds, walked.numpy(), strict=True)
    ]


def labelled_start(scores: Tensor, labels: Sequence[np.ndarray], classes: Sequence[np.ndarray]) -> Tensor:
    """Return what walks where confident labels are known, the background first.

    Args:
        scores: (B, n, h, w) in [0, 1], class maps without the floor.
        labels: per image uint8 (H, W): 0 background, class id + 1, 255 undecided.
        classes: per image the class ids of its maps, at most n.

    Returns:
        (B, 1 + n, h, w): the share of each label in a cell, and that of undecided pixels times the scores.
    """
    start = torch.empty(len(scores), 1 + scores.shape[1], *scores.shape[2:], device=scores.device)
    for number, (label, ids) in enumerate(zip(labels, classes, strict=True)):
        values = np.array([IGNORE, BACKGROUND, *(ids + 1)])
        shares = torch.from_numpy((label == values[:, None, None]).astype(np.float32)).to(scores.device)
        shares = on_grid(shares, scores.shape[2:])
        here = scores[number]
        start[number, 0] = shares[1] + shares[0] * (1 - here.amax(dim=0))
        start[number, 1:] = shares[0] * here
        start[number, 1 : len(values) - 1] += shares[2:]
    return start


def _alone(walked: Tensor) -> Tensor:
    return walked / (walked.amax(dim=(1, 2, 3), keepdim=True) + EPSILON)


def _beside_background(walked: Tensor) -> Tensor:
    classes = walked[:, 1:]
    return classes / (classes.amax(dim=1, keepdim=True) + walked[:, :1] + EPSILON)
