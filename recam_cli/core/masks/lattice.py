"""Gaussian filtering in many dimensions on the permutohedral lattice (Adams et al., Eurographics 2010), on a CPU.

A point of d features lies in a simplex of the lattice A*_d with d + 1 vertices. Filtering spreads its value over them
by barycentric weights (splat), blurs along the d + 1 lattice directions with (½, 1, ½), and reads the result with the
same weights (slice). The cost grows with d² instead of exponentially, and linearly with the points. Features are
divided by the kernel's standard deviation before, so that one unit is one deviation.

The loops are compiled by numba when first used, and kept for the next process. They let go of Python's lock, so
`threads` of them share a pass.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from recam_cli.core.masks import lattice_loops as loops
from recam_cli.core.threads import shared

WIDTHS = (4, 8, 12)
"""How many values of each point can be filtered together; such a row fills whole vector registers."""
_SMALLEST_SHARE = 4096


@dataclass(frozen=True)
class Lattice:
    """The lattice around a set of points.

    Attributes:
        vertices: uint32 (N, d + 1), the vertices of each point's simplex.
        weights: float32 (N, d + 1), what the point gives to and takes from each.
        neighbours: uint32 (d + 1, M, 2), a vertex's two neighbours along each direction; M where there is none.
        threads: how many share a pass.
        around_vertices: for several threads, the points in the order of their vertices: int32 (M + 1,) where each
            vertex's part begins; uint32 (N·(d + 1),) the points; float32 (N·(d + 1),) the weights belonging to them.
        spare: by the number of lanes L, two float32 (M + 1, L) to work on; their last row, of zeros, stands for every
            absent neighbour.
    """

    vertices: np.ndarray
    weights: np.ndarray
    neighbours: np.ndarray
    threads: int
    around_vertices: tuple[np.ndarray, np.ndarray, np.ndarray] | None
    spare: dict[int, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    @classmethod
    def around(cls, features: np.ndarray, *, threads: int = 1) -> Lattice:
        """Build the lattice around points of `features`, float32 (N, d), in standard deviations."""
        count, dimensions = features.shape
        vertices = np.empty((count, dimensions + 1), np.uint32)
        weights = np.empty((count, dimensions + 1), np.float32)
        highs, lows, table = loops.place(
            np.ascontiguousarray(features, np.float32), _scales(dimensions), vertices, weights
        )
        total = len(highs)
        neighbours = np.full((dimensions + 1, total, 2), total, np.uint32)
        for direction in range(dimensions + 1):
            of = highs, lows, table, dimensions, direction, neighbours
            shared(threads, total, _SMALLEST_SHARE, loops.find_neighbours, *of)
        around = loops.around_vertices(vertices, weights, total) if threads > 1 else None
        return cls(vertices, weights, neighbours, threads, around)

    def normalised(self) -> Lattice:
        """Return the lattice whose kernel K is normalised symmetrically by its row sums: N K N, N = diag(K 1)^-½."""
        ones = np.zeros((len(self.vertices), WIDTHS[0]), np.float32)
        ones[:, 0] = 1
        sums = np.zeros_like(ones)
        self.filter_into(ones, sums, 1.0)
        factor = (1 / np.sqrt(np.maximum(sums[:, 0], 1e-20))).astype(np.float32)
        around = self.around_vertices
        if around is not None:
            starts, points, shares = around
            around = starts, points, shares * factor[points]
        return replace(self, weights=self.weights * factor[:, None], around_vertices=around)

    def filter_into(self, values: np.ndarray, target: np.ndarray, factor: float) -> None:
        """Add `factor` times the filtered `values` to `target`; both float32 (N, L), with L of `WIDTHS`."""
        directions, total = self.neighbours.shape[:2]
        lanes = (0,) * values.shape[1]
        if len(lanes) not in self.spare:
            here, there = (np.zeros((total + 1, len(lanes)), np.float32) for _ in range(2))
            self.spare[len(lanes)] = here, there
        here, there = self.spare[len(lanes)]
        if self.around_vertices is None:
            loops.scatter(self.vertices, self.weights, values, here, lanes)
        else:
            shared(self.threads, total, _SMALLEST_SHARE, loops.splat, *self.around_vertices, values, here, lanes)
        for direction in range(directions):
            shared(self.threads, total, _SMALLEST_SHARE, loops.blur, self.neighbours[direction], here, there, lanes)
            here, there = there, here
        scale = np.float32(factor / (1 + 2.0 ** (1 - directions)))
        of = self.vertices, self.weights, here, scale, target, lanes
        shared(self.threads, len(values), _SMALLEST_SHARE, loops.slice_into, *of)


def softmax_of(
    first: int, energies: np.ndarray, messages: np.ndarray, of_all: np.ndarray, target: np.ndarray, threads: int
) -> None:
    """Write softmax(messages - energies) over the labels of one problem, all but the last of them, to `target`.

    Args:
        first: the lane of its first label; the last label has none.
        energies: float32 (labels, N).
        messages, target: float32 (blocks, N, L), lane i of the problem being lane i mod L of block i div L.
        of_all: float32 (N,), the sum of the messages of all its labels.
        threads: how many to use.
    """
    shared(threads, len(of_all), _SMALLEST_SHARE, loops.softmax, first, energies, messages, of_all, target)


def _scales(dimensions: int) -> tuple[np.float32, ...]:
    """Return what features are multiplied by, so that the lattice's blur has a standard deviation of 1."""
    unit = (2 / 3) ** 0.5 * (dimensions + 1)
    return tuple(np.float32(unit / ((i + 1) * (i + 2)) ** 0.5) for i in range(dimensions))
