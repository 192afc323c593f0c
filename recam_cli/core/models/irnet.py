"""The boundary network of IRN (Ahn et al., CVPR 2019, §3.2): all stages of a frozen backbone, 32 channels each.

One cell per 4 pixels, whose score says whether a boundary runs there. For instance maps, a displacement branch
(`displacement.py`) looks at the same stages; they share nothing that learns.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recam_cli.core.affinity.spread import Walk, boundary_walk
from recam_cli.core.models.backbones import Backbone
from recam_cli.core.models.branch import Branch
from recam_cli.core.models.displacement import DisplacementBranch

_CHANNELS = 32


class BoundaryNet(Branch):
    """Maps images to boundary logits, and to a displacement field where asked for; only the branches learn.

    Args:
        backbone: frozen here, in evaluation mode for good.
        displacement: whether there is a displacement branch.

    Attributes:
        displacement: the other branch, or None.
    """

    cell = 4
    backbone_stride = 16

    def __init__(self, backbone: Backbone, *, displacement: bool = False) -> None:
        stages = len(backbone.stage_channels)
        super().__init__(backbone, stages * (_CHANNELS,), nn.Conv2d(_CHANNELS * stages, 1, 1))
        self.displacement = DisplacementBranch(backbone.stage_channels) if displacement else None

    def facts(self) -> dict[str, Any]:
        """Return whether there is a displacement branch, where there is."""
        return {} if self.displacement is None else {"displacement": True}

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (B, h, w), h and w as of `grid_size`, of normalised images (B, 3, H, W).

        Their sigmoid is the boundary score: 1 where nothing may pass.
        """
        stages, grid = self.stages(images)
        rows, columns = self.grid_size(*images.shape[2:])
        return self._logits(stages, grid)[:, :rows, :columns]

    def with_field(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return, of normalised images (B, 3, H, W), the logits (B, h, w) and the displacement field (B, 2, h, w).

        The field holds (dy, dx) in cells, from a cell to its object's centre.
        """
        stages, grid = self.stages(images)
        rows, columns = self.grid_size(*images.shape[2:])
        logits, field = self._logits(stages, grid), self._branch()(stages, grid)
        return logits[:, :rows, :columns], field[:, :, :rows, :columns]

    def boundaries(self, images: Tensor) -> Tensor:
        """Return boundary scores (B, h, w) in [0, 1], the mean logit of the images and their mirror images."""
        return _mean_score(self(torch.cat([images, images.flip(3)])))

    def boundaries_with_field(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return `boundaries`, and the displacement field (B, 2, h, w) of the images as they are, as published."""
        stages, grid = self.stages(torch.cat([images, images.flip(3)]))
        rows, columns = self.grid_size(*images.shape[2:])
        scores = _mean_score(self._logits(stages, grid)[:, :rows, :columns])
        field: Tensor = self._branch()([stage[: len(images)] for stage in stages], grid)
        return scores, field[:, :, :rows, :columns]

    def walk(self, images: Tensor, *, radius: int, beta: float) -> Walk:
        """Return the walk within the boundaries of normalised images (B, 3, H, W)."""
        return boundary_walk(self.boundaries(images), radius=radius, beta=beta)

    def reset(self, generator: torch.Generator) -> None:
        """Draw the branches' convolutions anew, uniformly within ±1/√inputs; biases are 0."""
        super().reset(generator)
        if self.displacement is not None:  # last, so that the boundary branch is drawn as without it
            self.displacement.reset(generator)

    def _logits(self, stages: list[Tensor], grid: tuple[int, int]) -> Tensor:
        return self.fused(stages, grid, F.relu)[:, 0].float()

    def _branch(self) -> DisplacementBranch:
        assert self.displacement is not None, "built without a displacement branch"
        return self.displacement


def _mean_score(logits: Tensor) -> Tensor:
    """Return the scores of logits (2·B, h, w), those of the mirror images last."""
    here, mirrored = logits.chunk(2)
    return torch.sigmoid((here + mirrored.flip(2)) / 2)
