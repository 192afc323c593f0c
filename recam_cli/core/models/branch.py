"""What IRN's and PSA's networks share: 1×1 convolutions over stages of a frozen backbone, brought to one grid.

Each stage gives some channels by a convolution without bias and a group norm of 8 channels per group, as both papers'
code does; one more convolution joins them. Stages and channel counts are read from the backbone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recam_cli.core.affinity.grids import on_grid
from recam_cli.core.models.backbones import Backbone

_PER_GROUP = 8
_SMALLEST = 32
"""Images are padded to so many pixels a side."""


class Branch(nn.Module):
    """A frozen backbone with a branch that learns; the base of networks that guide a random walk.

    Args:
        backbone: frozen here, in evaluation mode for good.
        widths: channels that each of the backbone's last stages gives, one number per stage.
        fuse: the last convolution, over all of them.

    Attributes:
        backbone: as given.
        reduce: per stage, the convolution and norm.
        fuse: as given.
        cell: pixels per cell of the network's output, along each axis.
        backbone_stride: the backbone's stride that the network is meant for.
    """

    cell: ClassVar[int]
    backbone_stride: ClassVar[int]

    def __init__(self, backbone: Backbone, widths: tuple[int, ...], fuse: nn.Conv2d) -> None:
        super().__init__()
        backbone.freeze_statistics()
        self.backbone = backbone.requires_grad_(False)
        self.reduce = nn.ModuleList(
            nn.Sequential(nn.Conv2d(channels, width, 1, bias=False), nn.GroupNorm(width // _PER_GROUP, width))
            for channels, width in zip(backbone.stage_channels[-len(widths) :], widths, strict=True)
        )
        self.fuse = fuse

    @classmethod
    def grid_size(cls, height: int, width: int) -> tuple[int, int]:
        """Return the output's (rows, columns) for an image of `height`×`width` pixels."""
        return -(-height // cls.cell), -(-width // cls.cell)

    def facts(self) -> dict[str, Any]:
        """Return what else than the backbone rebuilds it, JSON-like: keyword arguments of its class."""
        return {}

    def stages(self, images: Tensor) -> tuple[list[Tensor], tuple[int, int]]:
        """Return the backbone's maps of normalised images (B, 3, H, W), and the grid to bring them to.

        Small images are padded below and to the right; `grid_size` of the image says what to keep of the grid.
        """
        height, width = images.shape[2:]
        missing = max(0, _SMALLEST - height), max(0, _SMALLEST - width)
        if any(missing):  # poolings need some cells to look at
            images = F.pad(images, (0, missing[1], 0, missing[0]), mode="replicate")
        with torch.no_grad():
            return self.backbone.features(images), self.grid_size(*images.shape[2:])

    def fused(self, stages: Sequence[Tensor], grid: tuple[int, int], activation: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the last convolution's output (B, C, *grid), over `activation` of each stage's channels."""
        last = stages[-len(self.reduce) :]
        maps = [activation(on_grid(layer(stage), grid)) for layer, stage in zip(self.reduce, last, strict=True)]
        fused: Tensor = self.fuse(torch.cat(maps, dim=1))
        return fused

    def reset(self, generator: torch.Generator) -> None:
        """Draw the branch's convolutions anew, uniformly within ±1/√inputs; its bias is 0."""
        draw_convolutions((*self.reduce.modules(), self.fuse), generator)


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
