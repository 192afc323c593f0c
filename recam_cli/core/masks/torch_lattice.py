"""The permutohedral lattice of `lattice.py` by tensor operations, which run on a GPU.

The arithmetic is that of the compiled loops, digit for digit up to the order of additions. Vertices are told apart by
sorting instead of hashing, and a vertex sums its points in their order, segment by segment, never by atomic additions:
the same input gives the same bits on a GPU, too. Double precision is needed, so Apple's MPS cannot take part.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

_OFFSET = 1 << 20
"""Added to lattice coordinates, so that they are positive and 21 bits hold each, three in an int64."""
_BITS = 21


@dataclass(frozen=True)
class TorchLattice:
    """The lattice around a set of points; all tensors on one device.

    Attributes:
        vertices: int64 (d + 1, N), the vertices of each point's simplex.
        weights: float32 (d + 1, N), what the point gives to and takes from each.
        neighbours: int64 (d + 1, 2, M), a vertex's two neighbours along each direction; M where there is none.
        starts: int64 (M + 1,), where each vertex's part of `points` begins.
        points: int64 (N·(d + 1),), the points around each vertex, in their order.
        shares: float32 (N·(d + 1),), the weights belonging to `points`.
    """

    vertices: Tensor
    weights: Tensor
    neighbours: Tensor
    starts: Tensor
    points: Tensor
    shares: Tensor

    @classmethod
    def around(cls, features: Tensor) -> TorchLattice:
        """Build the lattice around points of `features`, float32 (N, d), in standard deviations; d is 1 to 6."""
        dimensions = features.shape[1]
        nearest, rank, weights = _simplices(features)
        corners = _Keys.of_corners(nearest, rank)
        keys, vertices, counts = torch.unique(corners.ids, return_inverse=True, return_counts=True)
        neighbours = corners.neighbours(keys, dimensions)
        starts = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        order = vertices.T.flatten().argsort(stable=True)  # point by point, which is their order within a vertex
        shares = weights.T.flatten()[order]
        return cls(vertices, weights, neighbours, starts, order // (dimensions + 1), shares)

    def normalised(self) -> TorchLattice:
        """Return the lattice whose kernel K is normalised symmetrically by its row sums: N K N, N = diag(K 1)^-½."""
        sums = self.filter(torch.ones_like(self.weights[0])[:, None])[:, 0]
        factor = 1 / sums.clamp(min=1e-20).sqrt()
        return replace(self, weights=self.weights * factor, shares=self.shares * factor[self.points])

    def filter(self, values: Tensor) -> Tensor:
        """Return the filtered `values`; both float32 (N, L), of any L."""
        directions, _, total = self.neighbours.shape
        spread = values.index_select(0, self.points) * self.shares[:, None]
        here = values.new_zeros(total + 1, values.shape[1])  # the last row stands for every absent neighbour
        here[:-1] = torch.segment_reduce(spread, "sum", offsets=self.starts, axis=0, unsafe=True)
        del spread
        for behind, ahead in self.neighbours:
            beside = here.index_select(0, behind) + here.index_select(0, ahead)
            here[:-1].add_(beside, alpha=0.5)
        found = torch.zeros_like(values)
        for corner, weight in zip(self.vertices, self.weights, strict=True):
            found.addcmul_(here.index_select(0, corner), weight[:, None])
        return found / (1 + 2.0 ** (1 - directions))


def _simplices(features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return each point's nearest remainder-0 point and its coordinates' ranks, both int64 (d + 1, N), and barycentric
    weights, float32 (d + 1, N).
    """
    d = features.shape[1]
    unit = (2 / 3) ** 0.5 * (d + 1)
    tail = torch.zeros_like(features[:, 0])
    elevated = [tail] * (d + 1)
    for j in range(d, 0, -1):
        scale = torch.tensor(unit / (j * (j + 1)) ** 0.5, dtype=torch.float32, device=features.device)
        scaled = features[:, j - 1] * scale
        elevated[j] = (tail.double() - j * scaled.double()).float()
        tail = tail + scaled
    elevated[0] = tail
    place = torch.stack(elevated).double()
    below = (place / (d + 1)).floor() * (d + 1)
    above = below + (d + 1)
    nearest = torch.where(above - place < place - below, above, below).long()
    rank = (place - nearest).argsort(dim=0, descending=True, stable=True).argsort(dim=0)
    rank += nearest.sum(dim=0) // (d + 1)
    turn = (rank < 0).long() - (rank > d).long()
    rank, nearest = rank + turn * (d + 1), nearest + turn * (d + 1)
    shares = torch.empty_like(place).scatter_(0, rank, (place - nearest) / (d + 1)).flip(0)
    weights = shares - torch.cat([shares[-1:] - 1, shares[:-1]])
    return nearest, rank, weights.float()


@dataclass(frozen=True)
class _Keys:
    """One number for each lattice point, by way of two that hold three of its coordinates each.

    Attributes:
        ids: int64, of the points given.
        highs, lows: int64, sorted, the values that occur of each of the two; a point's number is
            place in `highs` · len(lows) + place in `lows`.
    """

    ids: Tensor
    highs: Tensor
    lows: Tensor

    @classmethod
    def of_corners(cls, nearest: Tensor, rank: Tensor) -> _Keys:
        """Number all vertices of the simplices: ids (d + 1, N)."""
        d = len(nearest) - 1
        corners = []
        for remainder in range(d + 1):
            step = torch.where(rank[:d] <= d - remainder, remainder, remainder - d - 1)
            corners.append(_packed(nearest[:d] + step + _OFFSET))
        highs, high_places = torch.unique(torch.stack([high for high, _ in corners]), return_inverse=True)
        lows, low_places = torch.unique(torch.stack([low for _, low in corners]), return_inverse=True)
        return cls(high_places * len(lows) + low_places, highs, lows)

    def neighbours(self, keys: Tensor, dimensions: int) -> Tensor:
        """Return the places in `keys` (sorted, all vertices) of each one's neighbours, (d + 1, 2, M)."""
        highs, lows = self.highs[keys // len(self.lows)], self.lows[keys % len(self.lows)]
        found = []
        for direction in range(dimensions + 1):
            # One step back: -1 in every coordinate, and +d in the direction's own, which the last one has not. The
            # coordinates lie side by side in the packed number, so that a step is an addition.
            step = torch.full((dimensions,), -1, dtype=torch.int64)
            if direction < dimensions:
                step[direction] += dimensions + 1
            high, low = (int(part) for part in _packed(step))
            found += [self._find(keys, highs + high, lows + low), self._find(keys, highs - high, lows - low)]
        return torch.stack(found).reshape(dimensions + 1, 2, -1)

    def _find(self, keys: Tensor, highs: Tensor, lows: Tensor) -> Tensor:
        """Return the place of each point in `keys`, or their number where it is no vertex."""
        high, known_high = _place(self.highs, highs)
        low, known_low = _place(self.lows, lows)
        place, known = _place(keys, high * len(self.lows) + low)
        return torch.where(known & known_high & known_low, place, len(keys))


def _packed(coordinates: Tensor) -> tuple[Tensor, Tensor]:
    """Return the first three and the other coordinates of (d, …) as one int64 each."""
    high, low = torch.zeros_like(coordinates[0]), torch.zeros_like(coordinates[0])
    for number, coordinate in enumerate(coordinates):
        if number < 3:
            high = (high << _BITS) + coordinate
        else:
            low = (low << _BITS) + coordinate
    return high, low


def _place(values: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Return where in the sorted `values` each of `wanted` is, and whether it is there at all."""
    place = torch.searchsorted(values, wanted).clamp_(max=len(values) - 1)
    return place, values[place] == wanted
