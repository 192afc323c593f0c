"""The displacement branch of IRN (Ahn et al., CVPR 2019, §3.2): where the centre of each cell's object lies.

1×1 convolutions over a backbone's stages, on a grid of one cell per 4 pixels. The stages from the third on are fused on
the third one's grid, then all on the finest. For ResNet-50 these are the published layers; the number of stages and
their channels are read from the backbone, their strides from the maps themselves.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recam_cli.core.affinity.grids import on_grid
from recam_cli.core.models.branch import draw_convolutions

_FINE = 2
"""So many stages join at the end; those after them are fused before."""
_WIDTHS = (64, 128)
_WIDEST = 256


class DisplacementBranch(nn.Module):
    """Maps a backbone's stages to a displacement field.

    Args:
        stage_channels: channels after each of the backbone's stages; at least 3 stages.

    Attributes:
        reduce: per stage, the convolution and norm to 64, 128, 256, 256, … channels.
        fuse_coarse: over the stages from the third on.
        fuse: over the first two stages and the coarse ones.
        field: to the two coordinates.
        mean: float32 (2,), the field's mean over the images it was trained on; subtracted in evaluation. The loss knows
            differences alone, so that without it, whatever was added everywhere would count as displacement.
    """

    mean: Tensor

    def __init__(self, stage_channels: Sequence[int]) -> None:
        super().__init__()
        widths = [*_WIDTHS, *[_WIDEST] * (len(stage_channels) - _FINE)]
        self.reduce = nn.ModuleList(_fused(*pair) for pair in zip(stage_channels, widths, strict=True))
        self.fuse_coarse = _fused(sum(widths[_FINE:]), _WIDEST)
        self.fuse = _fused(sum(widths[:_FINE]) + _WIDEST, _WIDEST)
        self.field = nn.Conv2d(_WIDEST, 2, 1, bias=False)
        self.register_buffer("mean", torch.zeros(2))

    def forward(self, stages: Sequence[Tensor], grid: tuple[int, int]) -> Tensor:
        """Return the field of `stages`, each (B, C, h, w), as float32 (B, 2, *grid).

        Its values are (dy, dx) in cells, from a cell to its object's centre.
        """
        rows, columns = stages[_FINE].shape[2:]
        middle = min(rows, grid[0]), min(columns, grid[1])
        places = [grid] * _FINE + [middle] * (len(stages) - _FINE)
        maps = [
            F.relu(on_grid(layer(stage), place))
            for layer, stage, place in zip(self.reduce, stages, places, strict=True)
        ]
        coarse = F.relu(on_grid(self.fuse_coarse(torch.cat(maps[_FINE:], dim=1)), grid))
        field: Tensor = self.field(F.relu(self.fuse(torch.cat([*maps[:_FINE], coarse], dim=1)))).float()
        return field if self.training else field - self.mean[:, None, None]

    def reset(self, generator: torch.Generator) -> None:
        """Draw the convolutions anew, as the boundary branch's; the mean is 0."""
        draw_convolutions(self.modules(), generator)
        self.mean.zero_()


def _fused(inputs: int, outputs: int) -> nn.Sequential:
    groups = min(16, outputs // 8)  # published: 8 groups of 64 channels, 16 of more
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.GroupNorm(groups, outputs))
