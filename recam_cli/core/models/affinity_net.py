"""AffinityNet of PSA (Ahn & Kwak, CVPR 2018, §3.3): features whose differences say which cells belong together.

The last three stages give 64, 128 and 256 channels, and one more convolution 448 features, on a grid of one cell per
8 pixels, the backbone's own. Published: a WideResNet-38 or VGG16 trained along, the branch at ten times its rate. Here
the backbone is frozen, as IRN's is, any of the registry, and only the branch learns: no gradient passes the backbone,
which makes a training step several times cheaper. Group norm and the last layer's initial weights as in the published
VGG16 variant; the others are uniform within ±1/√inputs, as IRN's.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recam_cli.core.affinity.affinity_loss import pair_distances
from recam_cli.core.affinity.pairs import offsets
from recam_cli.core.affinity.spread import Walk
from recam_cli.core.affinity.walk import Transition
from recam_cli.core.models.backbones import Backbone
from recam_cli.core.models.branch import Branch

WIDTHS = (64, 128, 256)
FEATURES = sum(WIDTHS)
_GAIN = 4
"""Published: features start far apart. With half of it, a short training leaves so many pairs of different things alike
that masks of photographs lost 9 points of mIoU after the walk."""


class AffinityNet(Branch):
    """Maps images to features; the affinity of two cells is exp(-mean |difference of their features|).

    Args:
        backbone: frozen here, in evaluation mode for good.
    """

    cell = 8
    backbone_stride = 8

    def __init__(self, backbone: Backbone) -> None:
        super().__init__(backbone, WIDTHS, nn.Conv2d(FEATURES, FEATURES, 1, bias=False))

    def forward(self, images: Tensor) -> Tensor:
        """Return the features (B, 448, h, w), h and w as of `grid_size`, of normalised images (B, 3, H, W)."""
        rows, columns = self.grid_size(*images.shape[2:])
        return F.elu(self.fused(*self.stages(images), F.elu)[:, :, :rows, :columns].float())

    def reset(self, generator: torch.Generator) -> None:
        """Draw the branch's convolutions anew; the last one by Glorot's rule, four times as wide."""
        super().reset(generator)
        nn.init.xavier_uniform_(self.fuse.weight, gain=_GAIN, generator=generator)

    def walk(self, images: Tensor, *, radius: int, beta: float) -> Walk:
        """Return the walk over the affinities of normalised images (B, 3, H, W), without mirroring, as published."""
        features, of = self(images), offsets(radius)
        affinities = [torch.exp(-beta * pair_distances(features, offset)) for offset in of]
        return Walk(Transition.of_affinities(affinities, of, *features.shape[2:]))
