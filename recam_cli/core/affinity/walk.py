"""The random walk that spreads class scores within boundaries (IRN, CVPR 2019, §4; PSA, CVPR 2018, §3.4).

With affinities a_ij between cells nearer than the radius, A = a^β plus the identity, and T = A with columns divided by
their sums, the scores after t steps are x·T^t. The published code squares T, a dense N×N matrix, log2 t times. Here T
is never formed: its product with x touches 2·34 + 1 neighbours of each cell. And T^t·x needs no t products: T is
similar to a symmetric matrix with eigenvalues in [-1, 1], on which y^t is, up to a known remainder, a polynomial of
much smaller degree in Chebyshev's basis,

    y^t = Σ_k c_k · T_k(y),   c_k = 2 · C(t, (t-k)/2) / 2^t  (halved for k = 0; k = t, t-2, …),

whose coefficients are a binomial distribution: for t = 256, 78 products leave out less than a millionth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from math import exp, lgamma, log

import numpy as np
import torch
from torch import Tensor

from recam_cli.core.affinity.pairs import Offset, first_cells, offsets, path_maximum
from recam_cli.core.errors import UsageError
from recam_cli.core.threads import shared

RADIUS, BETA, STEPS = 5, 10.0, 256
"""Published: neighbours nearer than 5 cells, affinities to the power 10, 2^8 steps."""
REMAINDER = 1e-6
SHARE = 1024
"""Cells below which a thread costs more than it saves."""


@dataclass(frozen=True)
class Transition:
    """One step of the walk on one grid.

    Attributes:
        height, width: of the grid.
        weights: per offset (B, h, w), a^β of every pair, as `pairs.first_cells` orders them.
        degrees: (B, H, W), the sums of the columns of A, at least 1.
        of: the offsets, in the same order.
    """

    height: int
    width: int
    weights: tuple[Tensor, ...]
    degrees: Tensor
    of: tuple[Offset, ...]

    @classmethod
    def within(cls, edges: Tensor, *, radius: int = RADIUS, beta: float = BETA) -> Transition:
        """Build the walk of IRN, where a pair's affinity is 1 - the largest boundary score between its cells.

        Args:
            edges: boundary scores in [0, 1], (B, H, W).
            radius: of the neighbourhood, in cells.
            beta: exponent of the affinities.
        """
        edges = edges.float()
        pairs = offsets(radius)
        affinities = [(1 - path_maximum(edges, o)).clamp_(0, 1).pow_(beta) for o in pairs]
        return cls.of_affinities(affinities, pairs, edges.shape[-2], edges.shape[-1])

    @classmethod
    def of_affinities(cls, affinities: Sequence[Tensor], of: tuple[Offset, ...], height: int, width: int) -> Transition:
        """Build the walk of given affinities, per offset (B, h, w) as `pairs.first_cells` orders them, already ^β."""
        batch = affinities[0].shape[0]
        device = affinities[0].device
        # In double precision: an error of a millionth here is one of 256 millionths after the walk.
        exact = torch.device("cpu") if device.type == "mps" else device
        degrees = torch.ones(batch, height, width, device=exact, dtype=torch.float64)
        for weight, offset in zip(affinities, of, strict=True):
            first, second = first_cells(height, width, offset), first_cells(height, width, offset, offset)
            degrees[:, first[0], first[1]] += weight.to(exact)
            degrees[:, second[0], second[1]] += weight.to(exact)
        return cls(height, width, tuple(affinities), degrees.float().to(device), of)

    def step(self, scores: Tensor) -> Tensor:
        """Return scores·T of `scores` (B, C, H, W): every cell moves towards its neighbours.

        Written by differences, x_j + Σ_i a_ij (x_i - x_j) / d_j, in which equal scores stay exactly equal; as a plain
        weighted mean, the rounding of 256 steps adds up to more than a ten-thousandth.
        """
        return self._compiled_step(scores) if scores.device.type == "cpu" else self.tensor_step(scores)

    def tensor_step(self, scores: Tensor) -> Tensor:
        """As `step`, by tensor operations that run on any device."""
        change = torch.zeros_like(scores)
        for weight, offset in zip(self.weights, self.of, strict=True):
            if weight.numel() == 0:  # the grid is smaller than the offset
                continue
            first = (..., *first_cells(self.height, self.width, offset))
            second = (..., *first_cells(self.height, self.width, offset, offset))
            flow = (scores[second] - scores[first]).mul_(weight[:, None])
            change[first] += flow
            change[second] -= flow
        return change.div_(self.degrees[:, None]).add_(scores)

    @cached_property
    def _packed(self) -> tuple[np.ndarray, np.ndarray]:
        """The weights as float32 (B, O, H, W), each at its pair's first cell, and the offsets as int64 (O, 2)."""
        packed = np.zeros((len(self.degrees), len(self.of), self.height, self.width), np.float32)
        for number, (weight, offset) in enumerate(zip(self.weights, self.of, strict=True)):
            packed[(slice(None), number, *first_cells(self.height, self.width, offset))] = weight.numpy()
        return packed, np.array(self.of, np.int64).reshape(-1, 2)

    def _compiled_step(self, scores: Tensor) -> Tensor:
        from recam_cli.core.affinity import walk_loops  # numba takes a second to load

        weights, pairs = self._packed
        found, target, degrees = scores.contiguous().numpy(), torch.empty(scores.shape), self.degrees.numpy()
        # Rows do not depend on each other, so the result does not depend on how threads share them.
        rows, smallest = len(found) * self.height, max(1, SHARE // self.width)
        shared(torch.get_num_threads(), rows, smallest, walk_loops.step, weights, pairs, degrees, found, target.numpy())
        return target

    def walk(self, scores: Tensor, steps: int = STEPS) -> Tensor:
        """Return scores·T^steps, float32, of `scores` (B, C, H, W).

        Equal to the published dense form up to rounding: `tests/core/affinity/test_walk.py` holds it to 1e-4 of the
        maximum.

        Raises:
            UsageError: `steps` is negative, or the scores have another size.
        """
        if steps < 0:
            raise UsageError(f"a random walk of {steps} steps; at least 0 are needed")
        if tuple(scores.shape[-2:]) != (self.height, self.width):
            raise UsageError(f"scores of {tuple(scores.shape[-2:])} cells on a walk of {self.height}×{self.width}")
        factors = chebyshev_factors(steps)
        before, now = scores.float(), self.step(scores.float()) if len(factors) > 1 else scores.float()
        result = factors[0] * before
        for degree in range(1, len(factors)):
            if degree > 1:
                before, now = now, self.step(now).mul_(2).sub_(before)
            if factors[degree]:
                result.add_(now, alpha=factors[degree])
        return result.clamp_(min=0)


@cache
def chebyshev_factors(steps: int, remainder: float = REMAINDER) -> tuple[float, ...]:
    """Return c_0..c_m of y^steps = Σ c_k T_k(y), cut where the rest sums to less than `remainder`."""
    factors = [0.0] * (steps + 1)
    for k in range(steps % 2, steps + 1, 2):
        ways = lgamma(steps + 1) - lgamma((steps - k) / 2 + 1) - lgamma((steps + k) / 2 + 1)
        factors[k] = (1 if k == 0 else 2) * exp(ways - steps * log(2))
    rest = 0.0
    while len(factors) > 1 and rest + factors[-1] < remainder:
        rest += factors.pop()
    return tuple(factors)
