"""Pairs of confident cells, alike or not, and the loss over them that IRN and PSA share.

The affinity of a pair should be 1 where both cells carry the same confident label, 0 where they carry different ones,
and is left alone where either is undecided. Three means, so that no kind of pair outweighs another:
¼·same background + ¼·same class + ½·different.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from recam_cli.core.affinity.pairs import Offset, offsets, path
from recam_cli.core.data.samples import BACKGROUND, IGNORE

EPSILON = 1e-5
"""Added within logarithms, as published."""


class Grid(NamedTuple):
    """All pairs of a grid, as flat positions of cells.

    Attributes:
        first: int64 (S,), cells that have a neighbour at every offset within the grid, row by row.
        steps: per offset, how far its path's cells lie from the first one (int64, the second cell's among them).
        second: int64 (O,), how far the second cell lies from the first one.
        of: the offsets, in the same order.
    """

    first: Tensor
    steps: tuple[tuple[int, ...], ...]
    second: Tensor
    of: tuple[Offset, ...]

    def to(self, device: torch.device) -> Grid:
        """Return it with its tensors on `device`."""
        return self._replace(first=self.first.to(device), second=self.second.to(device))


def fitting_radius(height: int, width: int, radius: int) -> int:
    """Return `radius`, or the largest one, at least 2, that fits a smaller grid."""
    return max(2, min(radius, height, (width + 1) // 2))


@cache
def grid_pairs(height: int, width: int, radius: int) -> Grid:
    """Return the pairs of a grid; where it is too small for the radius, those of the largest radius that fits."""
    radius = fitting_radius(height, width, radius)
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


class PairLoss(NamedTuple):
    """The loss of a batch of pairs, `total`, and its three means; a kind of pair that does not occur counts 0."""

    total: Tensor
    background: Tensor
    same: Tensor
    different: Tensor

    def means(self) -> dict[str, Tensor]:
        """Return the three means by name."""
        return {"background": self.background, "same": self.same, "different": self.different}


def pair_counts(labels: Tensor, radius: int) -> Tensor:
    """Return how many pairs of each kind labels (B, h, w) have, (3,), in the order of `Pairs`."""
    grid = grid_pairs(labels.shape[1], labels.shape[2], radius).to(labels.device)
    return torch.stack([kind.sum() for kind in label_pairs(labels, grid)])


def pair_loss(alike: Tensor, parted: Tensor, pairs: Pairs, of: Tensor | None = None) -> PairLoss:
    """Return the loss over all pairs.

    Args:
        alike: (B, O, S), -log a, what a pair costs that should be alike.
        parted: (B, O, S), -log(1 - a), what it costs where it should not.
        pairs: which is which.
        of: `pair_counts` of the batch that these are a part of: the parts' losses then add up to that batch's.
    """
    counts = list(of) if of is not None else [kind.sum() for kind in pairs]
    background = _mean(alike, pairs.background, counts[0])
    same, different = _mean(alike, pairs.same, counts[1]), _mean(parted, pairs.different, counts[2])
    return PairLoss((background / 2 + same / 2 + different) / 2, background, same, different)


def _mean(values: Tensor, chosen: Tensor, count: Tensor) -> Tensor:
    return (values * chosen).sum() / count.clamp(min=1)
