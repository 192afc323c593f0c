"""Pairs of neighbouring cells and the paths between them (IRN, Ahn et al., CVPR 2019, §3.2 and §5.1).

A pair is a cell and another one at an *offset* (dy, dx) from it. Of each offset and its opposite only one is listed, so
that every pair occurs once: radius 5 gives 34 offsets, radius 10 gives 152.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor


class Offset(NamedTuple):
    """Where the second cell of a pair lies, seen from the first: `dy` ≥ 0 rows down, `dx` columns to the right."""

    dy: int
    dx: int


HERE = Offset(0, 0)


@cache
def offsets(radius: int) -> tuple[Offset, ...]:
    """Return the offsets nearer than `radius` ≥ 2 cells, one of each opposite pair: (0, 1..r-1), then dy = 1..r-1."""
    reach = range(1 - radius, radius)
    beside = [Offset(0, dx) for dx in range(1, radius)]
    below = [Offset(dy, dx) for dy in range(1, radius) for dx in reach if dx * dx + dy * dy < radius * radius]
    return (*beside, *below)


@cache
def path(offset: Offset) -> tuple[Offset, ...]:
    """Return the cells within the offset's bounding box that lie less than 1 cell from its segment, both ends too."""
    dy, dx = offset
    length = (dy * dy + dx * dx) ** 0.5
    columns = range(min(0, dx), max(0, dx) + 1)
    return tuple(Offset(y, x) for y in range(dy + 1) for x in columns if abs(dy * x - dx * y) < length or length == 0)


def first_cells(height: int, width: int, offset: Offset, shift: Offset = HERE) -> tuple[slice, slice]:
    """Return rows and columns of the first cells of all pairs at `offset`, moved by `shift` (`offset`: the second)."""
    rows, left = height - offset.dy, max(0, -offset.dx)
    columns = width - abs(offset.dx)
    return slice(shift.dy, shift.dy + max(0, rows)), slice(left + shift.dx, left + shift.dx + max(0, columns))


def path_maximum(edges: Tensor, offset: Offset) -> Tensor:
    """Return the largest boundary score on the way of every pair at `offset`.

    Args:
        edges: (..., H, W).
        offset: the second cell, seen from the first.

    Returns:
        (..., max(0, H - dy), max(0, W - |dx|)), one value per first cell in `first_cells`.
    """
    height, width = edges.shape[-2:]
    result = None
    for step in path(offset):
        rows, columns = first_cells(height, width, offset, step)
        cells = edges[..., rows, columns]
        result = cells if result is None else torch.maximum(result, cells)
    assert result is not None  # a path holds both its ends
    return result
