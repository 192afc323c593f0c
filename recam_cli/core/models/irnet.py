"""The boundary network of IRN (Ahn et al., CVPR 2019, §3.2): a frozen backbone, and 1×1 convolutions over its stages.

Each stage gives 32 channels (convolution without bias, group norm, ReLU) on a grid of one cell per 4 pixels; one more
convolution over all of them gives a boundary score per cell. Stages and channel counts are read from the backbone.
For instance maps, a displacement branch (`displacement.py`) looks at the same stages; they share nothing that learns.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recam_cli.core.models.backbones import Backbone
from recam_cli.core.models.branch import draw_convolutions, grid_size, on_grid
from recam_cli.core.models.displacement import DisplacementBranch

_CHANNELS = 32
_GROUPS = 4
_SMALLEST = 32
"""Images are padded to so many pixels a side."""


class BoundaryNet(nn.Module):
    """Maps images to boundary logits, and to a displacement field where asked for; only the branches learn.

    Args:
        backbone: frozen here, in evaluation mode for good.
        displacement: whether there is a displacement branch.

    Attributes:
        backbone: as given.
        reduce: per stage, the convolution and norm to 32 channels.
        fuse: the last convolution.
        displacement: the other branch, or None.
    """

    def __init__(self, backbone: Backbone, *, displacement: bool = False) -> None:
        super().__init__()
        backbone.freeze_statistics()
        self.backbone = backbone.requires_grad_(False)
        self.reduce = nn.ModuleList(
            nn.Sequential(nn.Conv2d(channels, _CHANNELS, 1, bias=False), nn.GroupNorm(_GROUPS, _CHANNELS))
            for channels in backbone.stage_channels
        )
        self.fuse = nn.Conv2d(_CHANNELS * len(backbone.stage_channels), 1, 1)
        self.displacement = DisplacementBranch(backbone.stage_channels) if displacement else None

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (B, h, w), h and w as of `grid_size`, of normalised images (B, 3, H, W).

        Their sigmoid is the boundary score: 1 where nothing may pass.
        """
        stages, grid = self._stages(images)
        rows, columns = grid_size(*images.shape[2:])
        return self._logits(stages, grid)[:, :rows, :columns]

    def with_field(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return, of normalised images (B, 3, H, W), the logits (B, h, w) and the displacement field (B, 2, h, w).

        The field holds (dy, dx) in cells, from a cell to its object's centre.
        """
        stages, grid = self._stages(images)
        rows, columns = grid_size(*images.shape[2:])
        logits, field = self._logits(stages, grid), self._branch()(stages, grid)
        return logits[:, :rows, :columns], field[:, :, :rows, :columns]

    def boundaries(self, images: Tensor) -> Tensor:
        """Return boundary scores (B, h, w) in [0, 1], the mean logit of the images and their mirror images."""
        return _mean_score(self(torch.cat([images, images.flip(3)])))

    def boundaries_with_field(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return `boundaries`, and the displacement field (B, 2, h, w) of the images as they are, as published."""
        stages, grid = self._stages(torch.cat([images, images.flip(3)]))
        rows, columns = grid_size(*images.shape[2:])
        scores = _mean_score(self._logits(stages, grid)[:, :rows, :columns])
        field: Tensor = self._branch()([stage[: len(images)] for stage in stages], grid)
        return scores, field[:, :, :rows, :columns]

    def reset(self, generator: torch.Generator) -> None:
        """Draw the branches' convolutions anew, uniformly within ±1/√inputs; biases are 0."""
        draw_convolutions((*self.reduce.modules(), self.fuse), generator)
        if self.displacement is not None:  # last, so that the boundary branch is drawn as without it
            self.displacement.reset(generator)

    def _stages(self, images: Tensor) -> tuple[list[Tensor], tuple[int, int]]:
        """Return the backbone's maps and the grid of the images; small images are padded below and to the right."""
        height, width = images.shape[2:]
        missing = max(0, _SMALLEST - height), max(0, _SMALLEST - width)
        if any(missing):  # poolings need some cells to look at
            images = F.pad(images, (0, missing[1], 0, missing[0]), mode="replicate")
        with torch.no_grad():
            return self.backbone.features(images), grid_size(*images.shape[2:])

    def _logits(self, stages: list[Tensor], grid: tuple[int, int]) -> Tensor:
        maps = [F.relu(on_grid(layer(stage), grid)) for layer, stage in zip(self.reduce, stages, strict=True)]
        logits: Tensor = self.fuse(torch.cat(maps, dim=1))
        return logits[:, 0].float()

    def _branch(self) -> DisplacementBranch:
        assert self.displacement is not None, "built without a displacement branch"
        return self.displacement


def _mean_score(logits: Tensor) -> Tensor:
    """Return the scores of logits (2·B, h, w), those of the mirror images last."""
    here, mirrored = logits.chunk(2)
    return torch.sigmoid((here + mirrored.flip(2)) / 2)
