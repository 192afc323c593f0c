"""Maps of one image on grids of different cells."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor


def on_grid(maps: Tensor, grid: Sequence[int]) -> Tensor:
    """Return maps (B, C, h, w) on another grid, (rows, columns): bilinear where they grow, by area where they shrink.

    Both grids span the same image; C may be 0.
    """
    rows, columns = grid
    if tuple(maps.shape[2:]) == (rows, columns):
        return maps
    if maps.shape[1] == 0:  # an image without classes; torch resizes no empty tensors
        return maps.new_zeros(len(maps), 0, rows, columns)
    if maps.shape[2] > rows or maps.shape[3] > columns:
        return F.interpolate(maps, size=(rows, columns), mode="area")
    return F.interpolate(maps, size=(rows, columns), mode="bilinear", align_corners=False)
