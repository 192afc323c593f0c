"""The boundary network of IRN (Ahn et al., CVPR 2019, §3.2): all stages of a frozen backbone, 32 channels each.

One cell per 4 pixels, whose score says whether a boundary runs there.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recam_cli.core.affinity.spread import Walk, boundary_walk
from recam_cli.core.models.backbones import Backbone
from recam_cli.core.models.branch import Branch

_CHANNELS = 32


class BoundaryNet(Branch):
    """Maps images to boundary logits; only the branch learns.

    Args:
        backbone: frozen here, in evaluation mode for good.
    """

    cell = 4
    backbone_stride = 16

    def __init__(self, backbone: Backbone) -> None:
        stages = len(backbone.stage_channels)
        super().__init__(backbone, stages * (_CHANNELS,), nn.Conv2d(_CHANNELS * stages, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (B, h, w), h and w as of `grid_size`, of normalised images (B, 3, H, W).

        Their sigmoid is the boundary score: 1 where nothing may pass.
        """
        return self.fused(images, F.relu)[:, 0].float()

    def boundaries(self, images: Tensor) -> Tensor:
        """Return boundary scores (B, h, w) in [0, 1], the mean logit of the images and their mirror images."""
        logits = self(torch.cat([images, images.flip(3)]))
        here, mirrored = logits.chunk(2)
        return torch.sigmoid((here + mirrored.flip(2)) / 2)

    def walk(self, images: Tensor, *, radius: int, beta: float) -> Walk:
        """Return the walk within the boundaries of normalised images (B, 3, H, W)."""
        return boundary_walk(self.boundaries(images), radius=radius, beta=beta)
