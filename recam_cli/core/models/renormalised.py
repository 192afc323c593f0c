"""Networks whose weights were trained on inputs of another normalisation than ImageNet's usual one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from recam_cli.core.data.transforms import IMAGENET_MEAN, IMAGENET_STD


class Renormalised(nn.Module):
    """From (x - mean) / deviation of ImageNet to that of another mean and deviation; nothing learns or is saved.

    Args:
        mean: wanted, one number per channel (RGB), of x in [0, 1].
        deviation: wanted, likewise.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, mean: Sequence[float], deviation: Sequence[float]) -> None:
        super().__init__()
        ours, wanted = torch.tensor(IMAGENET_STD), torch.tensor(tuple(deviation))
        shift = (torch.tensor(IMAGENET_MEAN) - torch.tensor(tuple(mean))) / wanted
        self.register_buffer("scale", (ours / wanted).view(3, 1, 1), persistent=False)
        self.register_buffer("shift", shift.view(3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Map (B, 3, H, W) to (B, 3, H, W)."""
        return images * self.scale + self.shift
