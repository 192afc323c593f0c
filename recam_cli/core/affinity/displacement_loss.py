"""What teaches the displacement branch: pairs of cells of one object share its centre (IRN, CVPR 2019, §3.3).

The field D points from a cell to its object's centre, in cells: x + D(x). Two cells i and j of one object have the same
centre, x_i + D(x_i) = x_j + D(x_j), so that D(x_i) - D(x_j) should be their offset x_j - x_i. Cells of one class near
each other are taken for cells of one object. On the background, which has no centre, it should be 0. Where an object's
centre lies, the loss leaves open; that the field's mean is taken off after training (`DisplacementBranch.mean`) puts it
amid the objects.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from recam_cli.core.affinity.boundary_loss import RADIUS
from recam_cli.core.affinity.label_pairs import Grid, grid_pairs, label_pairs


def displacement_loss(
    field: Tensor, labels: Tensor, *, radius: int = RADIUS, of: Tensor | None = None
) -> dict[str, Tensor]:
    """Return the loss of a displacement field and its parts.

    Args:
        field: (B, 2, h, w), (dy, dx) in cells.
        labels: confident labels on the same grid, integer (B, h, w), 255 undecided.
        radius: of the pairs.
        of: as of `label_pairs.pair_loss`.

    Returns:
        "displacement", what is minimised, half the sum of the means "displacement_same" (|D(x_i) - D(x_j) - (x_j -
        x_i)| over pairs of one class) and "displacement_background" (|D(x_i) - D(x_j)|), each the mean of both
        coordinates; a kind of pair that does not occur counts 0.
    """
    grid = grid_pairs(labels.shape[1], labels.shape[2], radius).to(field.device)
    means: Tensor = _PairDifferences.apply(field.float().flatten(2), labels, grid, of)  # type: ignore[no-untyped-call]
    same, background = means.unbind()
    return {
        "displacement": (same + background) / 2,
        "displacement_same": same,
        "displacement_background": background,
    }


class _PairDifferences(torch.autograd.Function):
    """Maps a field (B, 2, h·w) to the two means, (2,): of pairs of one class, and of the background.

    The slope of |x| is its sign, so that the gradient is summed up offset by offset beside the means, and nothing of
    the pairs is kept: memory is that of two fields instead of one value per pair.
    """

    @staticmethod
    def forward(ctx: Any, field: Tensor, labels: Tensor, grid: Grid, of: Tensor | None) -> Tensor:
        """Return the means, keeping their gradients (2, B, 2, h·w)."""
        sums, counts = field.new_zeros(2), field.new_zeros(2)
        slopes = field.new_zeros(2, *field.shape)
        here = field[:, :, grid.first]
        for offset, step in zip(grid.of, grid.second, strict=True):
            pairs = label_pairs(labels, grid._replace(second=step[None]))
            difference = here - field[:, :, grid.first + step]
            target = field.new_tensor(offset)[:, None]
            for kind, (chosen, error) in enumerate(
                ((pairs.same[:, 0], difference - target), (pairs.background[:, 0], difference))
            ):
                weight = chosen[:, None].to(field.dtype)
                sums[kind] += (error.abs() * weight).sum() / 2
                counts[kind] += chosen.sum()
                slope = error.sign().mul_(weight)
                slopes[kind].index_add_(2, grid.first, slope).index_add_(2, grid.first + step, slope, alpha=-1)
        if of is not None:
            counts = of[[1, 0]].to(counts)  # pairs of one class, then of the background
        counts = counts.clamp(min=1)
        ctx.save_for_backward(slopes.div_(2 * counts[:, None, None, None]))
        return sums / counts

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        """Return the gradient of the field."""
        (slopes,) = ctx.saved_tensors
        return (slopes * gradient[:, None, None, None]).sum(0), None, None, None
