"""What teaches the boundary network: pairs of confident cells, alike or not, and the boundaries on their way.

IRN (CVPR 2019, §3.3): the affinity of a pair is 1 - the largest boundary score on the path between its cells. It should
be 1 where both carry the same confident label, 0 where they carry different ones, and is left alone where either is
undecided. Three means, so that no kind of pair outweighs another: ½·(½·same background + ½·same class + different).
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from recam_cli.core.affinity.pairs import Offset, offsets, path
from recam_cli.core.data.samples import BACKGROUND, IGNORE

RADIUS = 10
"""Published: pairs nearer than 10 cells."""
EPSILON = 1e-5


class Grid(NamedTuple):
    """All pairs of a grid, as flat positions of cells.

    Attributes:
        first: int64 (S,), cells that have a neighbour at every offset within the grid.
        steps: per offset, how far its path's cells lie from the first one (int64, the second cell's among them).
        second: int64 (O,), how far the second cell lies from the first one.
        of: the offsets, in the same order.
    """

    first: Tensor
    steps: tuple[tuple[int, ...], ...]
    second: Tensor
    of: tuple[Offset, ...]


@cache
def grid_pairs(height: int, width: int, radius: int) -> Grid:
    """Return the pairs of a grid; where it is too small for the radius, those of the largest radius that fits."""
    radius = max(2, min(radius, height, (width + 1) // 2))
    reach = radius - 1
    rows = torch.arange(max(0, height - reach))
    columns = torch.arange(reach, max(reach, width - reach))
    first = (rows[:, None] * width + columns).flatten()
    of = offsets(radius)
    steps = tuple(tuple(step.dy * width + step.dx for step in path(offset)) for offset in of)
    return Grid(first, steps, torch.tensor([o.dy * width + o.dx for o in of]), of)


class Pairs(NamedTuple):
    """Which pairs (B, O, S) of a batch teach what, as boolean masks."""

    background: Tensor
    same: Tensor
    different: Tensor


def label_pairs(labels: Tensor, grid: Grid) -> Pairs:
    """Sort the pairs of confident labels (B, h, w), integer with 255 undecided."""
    flat = labels.flatten(1)
    first = flat[:, grid.first][:, None]
    second = flat[:, grid.first[None] + grid.second[:, None].to(grid.first.device)]
    decided = (first != IGNORE) & (second != IGNORE)
    alike = (first == second) & decided
    return Pairs(alike & (first == BACKGROUND), alike & (first != BACKGROUND), decided & (first != second))


def boundary_loss(logits: Tensor, labels: Tensor, *, radius: int = RADIUS) -> dict[str, Tensor]:
    """Return the loss of boundary logits and its parts.

    Args:
        logits: (B, h, w).
        labels: confident labels on the same grid, integer (B, h, w), 255 undecided.
        radius: of the pairs.

    Returns:
        "boundary", what is minimised, and the means "background", "same" and "different"; a kind of pair that does not
        occur counts 0.
    """
    grid = grid_pairs(logits.shape[1], logits.shape[2], radius)
    grid = grid._replace(first=grid.first.to(logits.device), second=grid.second.to(logits.device))
    pairs = label_pairs(labels, grid)
    highest: Tensor = _PathMaximum.apply(torch.sigmoid(logits.float()).flatten(1), grid)  # type: ignore[no-untyped-call]
    alike = -torch.log(1 - highest + EPSILON)
    parted = -torch.log(highest + EPSILON)
    background, same = _mean(alike, pairs.background), _mean(alike, pairs.same)
    different = _mean(parted, pairs.different)
    total = (background / 2 + same / 2 + different) / 2
    return {"boundary": total, "background": background, "same": same, "different": different}


def _mean(values: Tensor, chosen: Tensor) -> Tensor:
    return (values * chosen).sum() / chosen.sum().clamp(min=1)


class _PathMaximum(torch.autograd.Function):
    """Maps boundary scores (B, h·w) to the largest on each pair's path, (B, O, S).

    The gradient goes to the largest cell alone, whose position is all that is kept of a path.
    """

    @staticmethod
    def forward(ctx: Any, scores: Tensor, grid: Grid) -> Tensor:
        """Return each path's largest score, keeping where it is as a step from the pair's first cell."""
        batch, first = scores.shape[0], grid.first
        highest = scores.new_empty(batch, len(grid.steps), len(first))
        where = torch.empty(highest.shape, dtype=torch.int32, device=scores.device)
        gathered: dict[int, Tensor] = {}
        for index, steps in enumerate(grid.steps):
            best, at = highest[:, index], where[:, index]
            for number, step in enumerate(steps):
                if step not in gathered:
                    gathered[step] = scores[:, first + step]
                cells = gathered[step]
                if number == 0:
                    best.copy_(cells)
                    at.fill_(step)
                    continue
                at.masked_fill_(cells > best, step)
                torch.maximum(best, cells, out=best)
        ctx.save_for_backward(where, first)
        ctx.shape = scores.shape
        return highest

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        where, first = ctx.saved_tensors
        on_scores = gradient.new_zeros(ctx.shape)
        on_scores.scatter_add_(1, (where + first).flatten(1).long(), gradient.flatten(1))
        return on_scores, None
