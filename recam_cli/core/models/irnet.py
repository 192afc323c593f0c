"""The boundary network of IRN (Ahn et al., CVPR 2019, §3.2): a frozen backbone, and 1×1 convolutions over its stages.

Each stage gives 32 channels (convolution without bias, group norm, ReLU) on a grid of one cell per 4 pixels; one more
convolution over all of them gives a boundary score per cell. Stages and channel counts are read from the backbone.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recam_cli.core.models.backbones import Backbone

STRIDE = 4
"""Pixels per cell of the boundary map, along each axis; as of stored seeds."""
_CHANNELS = 32
_GROUPS = 4
_SMALLEST = 32
"""Images are padded to so many pixels a side."""


def grid_size(height: int, width: int) -> tuple[int, int]:
    """Return the boundary map's (rows, columns) of an image of `height`×`width` pixels."""
    return -(-height // STRIDE), -(-width // STRIDE)


class BoundaryNet(nn.Module):
    """Maps images to boundary logits; only the branch learns.

    Args:
        backbone: frozen here, in evaluation mode for good.

    Attributes:
        backbone: as given.
        reduce: per stage, the convolution and norm to 32 channels.
        fuse: the last convolution.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        backbone.freeze_statistics()
        self.backbone = backbone.requires_grad_(False)
        self.reduce = nn.ModuleList(
            nn.Sequential(nn.Conv2d(channels, _CHANNELS, 1, bias=False), nn.GroupNorm(_GROUPS, _CHANNELS))
            for channels in backbone.stage_channels
        )
        self.fuse = nn.Conv2d(_CHANNELS * len(backbone.stage_channels), 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (B, h, w), h and w as of `grid_size`, of normalised images (B, 3, H, W).

        Their sigmoid is the boundary score: 1 where nothing may pass.
        """
        height, width = images.shape[2:]
        missing = max(0, _SMALLEST - height), max(0, _SMALLEST - width)
        if any(missing):  # poolings need some cells to look at
            images = F.pad(images, (0, missing[1], 0, missing[0]), mode="replicate")
        with torch.no_grad():
            stages = self.backbone.features(images)
        grid = grid_size(*images.shape[2:])
        maps = [F.relu(_on_grid(layer(stage), grid)) for layer, stage in zip(self.reduce, stages, strict=True)]
        logits: Tensor = self.fuse(torch.cat(maps, dim=1))
        rows, columns = grid_size(height, width)
        return logits[:, 0, :rows, :columns].float()

    def boundaries(self, images: Tensor) -> Tensor:
        """Return boundary scores (B, h, w) in [0, 1], the mean logit of the images and their mirror images."""
        logits = self(torch.cat([images, images.flip(3)]))
        here, mirrored = logits.chunk(2)
        return torch.sigmoid((here + mirrored.flip(2)) / 2)

    def reset(self, generator: torch.Generator) -> None:
        """Draw the branch's convolutions anew, uniformly within ±1/√inputs; its bias is 0."""
        with torch.no_grad():
            for module in (*self.reduce.modules(), self.fuse):
                if isinstance(module, nn.Conv2d):
                    bound = module.in_channels**-0.5
                    drawn = torch.rand(module.weight.shape, generator=generator) * 2 - 1
                    module.weight.copy_(drawn * bound)
                    if module.bias is not None:
                        module.bias.zero_()


def _on_grid(features: Tensor, grid: tuple[int, int]) -> Tensor:
    if tuple(features.shape[2:]) == grid:
        return features
    if features.shape[2] > grid[0]:
        return F.interpolate(features, size=grid, mode="area")
    return F.interpolate(features, size=grid, mode="bilinear", align_corners=False)
