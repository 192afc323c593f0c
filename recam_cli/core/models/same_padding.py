"""Convolutions padded as TensorFlow pads them, for networks whose weights were trained so."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class SamePadConv(nn.Conv2d):
    """A convolution with TensorFlow's "same" padding: ceil(size / stride) cells, the odd pixel below and right."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:  # noqa: A002 - torch's name
        """Map (B, C, H, W) to (B, C', ceil(H / stride), ceil(W / stride))."""
        total = [_padding(input.shape[2 + axis], self, axis) for axis in (0, 1)]
        before = [amount // 2 for amount in total]
        if total[0] % 2 or total[1] % 2:
            after = [amount - first for amount, first in zip(total, before, strict=True)]
            input = F.pad(input, (before[1], after[1], before[0], after[0]))  # noqa: A001
            before = [0, 0]
        return F.conv2d(input, weight, bias, self.stride, (before[0], before[1]), self.dilation, self.groups)


def _padding(size: int, layer: nn.Conv2d, axis: int) -> int:
    stride, reach = layer.stride[axis], (layer.kernel_size[axis] - 1) * layer.dilation[axis]
    return max(0, (-(-size // stride) - 1) * stride + reach + 1 - size)
