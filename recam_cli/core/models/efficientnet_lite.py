"""EfficientNet-Lite0 (Tan & Le, ICML 2019; the Lite variant without squeeze-excitation, with ReLU6).

Its ImageNet weights come as an ordinary package of the index, so that an installation has features that work without a
network. Three things differ from torchvision's networks and are kept exactly: TensorFlow's "same" padding, which puts
the odd pixel of a stride below and to the right; batch norm with an epsilon of 1e-3; and an input of (x - 0.5) / 0.5,
which is made here from what all networks of recam are given, (x - mean) / deviation of ImageNet.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from recam_cli.core.models.renormalised import Renormalised
from recam_cli.core.models.same_padding import SamePadConv

CHANNELS = (16, 24, 40, 112, 1280)
"""After each of the five stages, which end before the strides of 4, 8, 16 and 32, and with the head."""
_EPSILON = 1e-3
_STEM, _HEAD = 32, 1280
_HALF = (0.5, 0.5, 0.5)


class _Group(NamedTuple):
    """Blocks of one width: how many, kernel, stride of the first, expansion, channels."""

    blocks: int
    kernel: int
    stride: int
    expand: int
    channels: int


_GROUPS = (
    _Group(1, 3, 1, 1, 16),
    _Group(2, 3, 2, 6, 24),
    _Group(2, 5, 2, 6, 40),
    _Group(3, 3, 2, 6, 80),
    _Group(3, 5, 1, 6, 112),
    _Group(4, 5, 2, 6, 192),
    _Group(1, 3, 1, 6, 320),
)
_STAGES = ((0,), (1,), (2,), (3, 4), (5, 6))
"""The groups of each stage; the first begins with the stem, the last ends with the head."""


def _unit(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, *, bends: bool = True
) -> list[nn.Module]:
    convolution = SamePadConv(inputs, outputs, kernel, stride, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(outputs, eps=_EPSILON), *([nn.ReLU6(inplace=True)] if bends else [])]


class _Block(nn.Module):
    """An inverted residual: widened by 1×1, filtered channel by channel, narrowed by 1×1 without a non-linearity."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expand: int) -> None:
        super().__init__()
        wide = inputs * expand
        layers = _unit(inputs, wide, 1) if expand > 1 else []
        layers += _unit(wide, wide, kernel, stride, groups=wide)
        layers += _unit(wide, outputs, 1, bends=False)
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.layers(images)
        return found + images if self.residual else found


class EfficientNetLite0(nn.Module):
    """The network in five stages, each halving the resolution once, and its ImageNet classifier.

    Attributes:
        stages: five sequences.
        fc: the classifier of 1000 classes.
    """

    def __init__(self) -> None:
        super().__init__()
        stages, inputs = [], _STEM
        for number, members in enumerate(_STAGES):
            layers: list[nn.Module] = [Renormalised(_HALF, _HALF), *_unit(3, _STEM, 3, 2)] if number == 0 else []
            for group in (_GROUPS[member] for member in members):
                for index in range(group.blocks):
                    stride = group.stride if index == 0 else 1
                    layers.append(_Block(inputs, group.channels, group.kernel, stride, group.expand))
                    inputs = group.channels
            stages.append(layers)
        stages[-1] += _unit(inputs, _HEAD, 1)
        self.stages = nn.ModuleList(nn.Sequential(*layers) for layers in stages)
        self.fc = nn.Linear(_HEAD, 1000)

    def forward(self, images: Tensor) -> Tensor:
        """Return ImageNet's logits (B, 1000) of normalised images (B, 3, H, W)."""
        for stage in self.stages:
            images = stage(images)
        logits: Tensor = self.fc(images.mean(dim=(2, 3)))
        return logits


def converted(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the package's state dict under the names of `EfficientNetLite0`; one under these already as it is.

    Both list the layers in the order they are run, the package by attributes `_conv_stem`, `_bn0`, `_blocks.<i>.…`,
    `_conv_head`, `_bn1`, `_fc`.

    Raises:
        ValueError: it holds other tensors.
    """
    if "_conv_stem.weight" not in state:
        return state
    with torch.device("meta"):
        wanted = EfficientNetLite0().state_dict()
    theirs = {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}
    ours = [name for name in wanted if not name.endswith("num_batches_tracked")]
    order = sorted(theirs, key=_place)
    if len(order) != len(ours):
        raise ValueError(f"not weights of efficientnet_lite0: {len(order)} tensors instead of {len(ours)}")
    found = {}
    for name, source in zip(ours, order, strict=True):
        if name.rsplit(".", 1)[1] != source.rsplit(".", 1)[1]:
            raise ValueError(f"not weights of efficientnet_lite0: an unknown {source}")
        if wanted[name].shape != theirs[source].shape:
            raise ValueError(f"not weights of efficientnet_lite0: {source} has another shape")
        found[name] = theirs[source]
    return found


_PARTS = ("_expand_conv", "_bn0", "_depthwise_conv", "_bn1", "_project_conv", "_bn2")
_TENSORS = ("weight", "bias", "running_mean", "running_var")


_OUTER = {"_conv_stem": (0, 0), "_bn0": (0, 1), "_conv_head": (2, 0), "_bn1": (2, 1), "_fc": (3, 0)}


def _place(name: str) -> tuple[int, int, int, int]:
    """Return where the network runs the tensor of the package's `name`: (part, block, layer, tensor)."""
    try:
        *where, kind = name.split(".")
        tensor = _TENSORS.index(kind)
        if where[0] == "_blocks":
            _, block, layer = where
            return 1, int(block), _PARTS.index(layer), tensor
        (outer,) = where
        part, place = _OUTER[outer]
    except (ValueError, KeyError, IndexError):
        raise ValueError(f"not weights of efficientnet_lite0: an unknown {name}") from None
    return part, 0, place, tensor
