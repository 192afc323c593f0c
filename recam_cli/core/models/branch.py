"""What the branches of IRN's network share: their grid, features brought onto it, and how convolutions are drawn."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STRIDE = 4
"""Pixels per cell of a branch's output, along each axis; as of stored seeds."""


def grid_size(height: int, width: int) -> tuple[int, int]:
    """Return the (rows, columns) of a branch's output on an image of `height`×`width` pixels."""
    return -(-height // STRIDE), -(-width // STRIDE)


def on_grid(features: Tensor, grid: tuple[int, int]) -> Tensor:
    """Resize features (B, C, h, w) to `grid`: bilinear where they grow, by area where they shrink."""
    if tuple(features.shape[2:]) == grid:
        return features
    if features.shape[2] > grid[0]:
        return F.interpolate(features, size=grid, mode="area")
    return F.interpolate(features, size=grid, mode="bilinear", align_corners=False)


def draw_convolutions(modules: Iterable[nn.Module], generator: torch.Generator) -> None:
    """Draw the weights of all convolutions among `modules` uniformly within ±1/√inputs; their biases become 0."""
    with torch.no_grad():
        for module in modules:
            if isinstance(module, nn.Conv2d):
                bound = module.in_channels**-0.5
                drawn = torch.rand(module.weight.shape, generator=generator) * 2 - 1
                module.weight.copy_(drawn * bound)
                if module.bias is not None:
                    module.bias.zero_()
