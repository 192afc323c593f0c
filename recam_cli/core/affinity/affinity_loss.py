"""What teaches the affinity network: how far apart the features of pairs of confident cells lie (PSA, CVPR 2018, §3.3).

The affinity of a pair is a = exp(-d), d the mean absolute difference of its cells' features; `label_pairs` says what it
should be.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from recam_cli.core.affinity.label_pairs import (
    EPSILON,
    PairLoss,
    fitting_radius,
    grid_pairs,
    label_pairs,
    pair_loss,
)
from recam_cli.core.affinity.pairs import HERE, Offset, first_cells, offsets

RADIUS = 5
"""Published: pairs nearer than 5 cells."""


def affinity_loss(features: Tensor, labels: Tensor, *, radius: int = RADIUS, of: Tensor | None = None) -> PairLoss:
    """Return the loss of features.

    Args:
        features: (B, C, h, w).
        labels: confident labels on the same grid, integer (B, h, w), 255 undecided.
        radius: of the pairs.
        of: as of `pair_loss`.
    """
    height, width = features.shape[2:]
    pairs = label_pairs(labels, grid_pairs(height, width, radius).to(features.device))
    distances: Tensor = _Distances.apply(features.float(), fitting_radius(height, width, radius))  # type: ignore[no-untyped-call]
    return pair_loss(
        -torch.log(torch.exp(-distances) + EPSILON), -torch.log(1 + EPSILON - torch.exp(-distances)), pairs, of
    )


def pair_distances(features: Tensor, offset: Offset) -> Tensor:
    """Return the mean absolute difference of every pair at `offset`.

    Args:
        features: (B, C, H, W).
        offset: the second cell, seen from the first.

    Returns:
        (B, max(0, H - dy), max(0, W - |dx|)), one value per first cell in `pairs.first_cells`.
    """
    height, width = features.shape[-2:]
    first, second = (first_cells(height, width, offset, shift) for shift in (HERE, offset))
    return (features[:, :, first[0], first[1]] - features[:, :, second[0], second[1]]).abs().mean(dim=1)


class _Distances(torch.autograd.Function):
    """Maps features (B, C, h, w) to the distances of the pairs of `grid_pairs`, (B, O, S).

    The differences themselves, C values per pair, are never kept: the way back takes them anew, offset by offset.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor, radius: int) -> Tensor:
        """Return each pair's mean absolute difference."""
        ctx.save_for_backward(features)
        ctx.radius = radius
        first = _region(features, radius, HERE)
        apart = [(first - _region(features, radius, offset)).abs_().mean(dim=1) for offset in offsets(radius)]
        return torch.stack(apart, dim=1).flatten(2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """Return the gradient of the features."""
        (features,), radius = ctx.saved_tensors, ctx.radius
        on_features = torch.zeros_like(features)
        first = _region(features, radius, HERE)
        on_first = torch.zeros_like(first)
        for number, offset in enumerate(offsets(radius)):
            slopes = (first - _region(features, radius, offset)).sign_()
            slopes *= gradient[:, number].view(len(first), 1, *first.shape[2:]) / features.shape[1]
            on_first += slopes
            _region(on_features, radius, offset).sub_(slopes)
        _region(on_features, radius, HERE).add_(on_first)
        return on_features, None


def _region(values: Tensor, radius: int, offset: Offset) -> Tensor:
    """Return the view of the cells at `offset` from those that have a neighbour at every offset within the grid."""
    reach = radius - 1
    rows, columns = max(0, values.shape[2] - reach), max(0, values.shape[3] - 2 * reach)
    left = reach + offset.dx
    return values[:, :, offset.dy : offset.dy + rows, left : left + columns]
