"""What teaches the boundary network: the boundaries on the way of pairs of confident cells (IRN, CVPR 2019, §3.3).

The affinity of a pair is 1 - the largest boundary score on the path between its cells; `label_pairs` says what it
should be.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from recam_cli.core.affinity.label_pairs import EPSILON, Grid, PairLoss, grid_pairs, label_pairs, pair_loss

RADIUS = 10
"""Published: pairs nearer than 10 cells."""


def boundary_loss(logits: Tensor, labels: Tensor, *, radius: int = RADIUS, of: Tensor | None = None) -> PairLoss:
    """Return the loss of boundary logits.

    Args:
        logits: (B, h, w).
        labels: confident labels on the same grid, integer (B, h, w), 255 undecided.
        radius: of the pairs.
        of: as of `pair_loss`.
    """
    grid = grid_pairs(logits.shape[1], logits.shape[2], radius).to(logits.device)
    highest: Tensor = _PathMaximum.apply(torch.sigmoid(logits.float()).flatten(1), grid)  # type: ignore[no-untyped-call]
    alike = -torch.log(1 - highest + EPSILON)
    parted = -torch.log(highest + EPSILON)
    return pair_loss(alike, parted, label_pairs(labels, grid), of)


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
        """Return the gradient of the scores."""
        where, first = ctx.saved_tensors
        on_scores = gradient.new_zeros(ctx.shape)
        on_scores.scatter_add_(1, (where + first).flatten(1).long(), gradient.flatten(1))
        return on_scores, None
