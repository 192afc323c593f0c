"""Segmentation networks: a registered backbone and a head that maps its features to one logit map per mask value.

A `Segmenter` gives (B, K + 1, h, w) logits at the backbone's stride; channel v is mask value v (0 background).
Adding a network: one function that builds its head, one line in `HEADS`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recam_cli.core.errors import UsageError
from recam_cli.core.models.backbones import Backbone
from recam_cli.core.models.torchvision_gate import torchvision

MSC_SCALES = (0.75, 0.5)
"""The smaller copies of the input that DeepLab v2's multi-scale branch looks at, too."""


class Segmenter(nn.Module):
    """A backbone and a head.

    Attributes:
        network: key of `HEADS`.
        num_values: K + 1 mask values, background included.
        msc: whether shrunken copies of the input vote, too (DeepLab v2's MSC).
    """

    def __init__(
        self, backbone: Backbone, head: nn.Module, *, network: str, num_values: int, msc: bool = False
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.network = network
        self.num_values = num_values
        self.msc = msc

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the logit maps that training puts a loss on.

        Args:
            images: normalised, (B, 3, H, W).

        Returns:
            One map (B, K + 1, h, w); with `msc` four: at ×1, ×0.75 and ×0.5, and their maximum at ×1.
        """
        maps = [self._at_one_scale(images)]
        if not self.msc:
            return maps
        for scale in MSC_SCALES:
            size = [max(1, round(side * scale)) for side in images.shape[2:]]
            shrunken = F.interpolate(images, size=size, mode="bilinear", align_corners=False)
            maps.append(self._at_one_scale(shrunken))
        return [*maps, _maximum(maps)]

    def logits(self, images: Tensor) -> Tensor:
        """Return the logits (B, K + 1, h, w) that predictions are made from; `images` as in `forward`."""
        return self(images)[-1]  # type: ignore[no-any-return]

    def _at_one_scale(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.backbone.features(images))
        return logits


def _maximum(maps: Sequence[Tensor]) -> Tensor:
    size = maps[0].shape[2:]
    grown = [F.interpolate(m, size=size, mode="bilinear", align_corners=False) for m in maps[1:]]
    return torch.stack([maps[0], *grown]).amax(dim=0)


class Aspp(nn.Module):
    """DeepLab v2's head: parallel dilated 3×3 convolutions of the last features, summed.

    Args:
        channels: of the last features.
        num_values: K + 1.
        rates: one convolution per dilation rate.
    """

    def __init__(self, channels: int, num_values: int, rates: Sequence[int]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(nn.Conv2d(channels, num_values, 3, padding=rate, dilation=rate) for rate in rates)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Map the backbone's features to logits (B, K + 1, h, w)."""
        logits: Tensor = self.branches[0](features[-1])
        for branch in list(self.branches)[1:]:
            logits = logits + branch(features[-1])
        return logits


class _LastFeatures(nn.Module):
    """Feeds a torchvision head with the last features alone."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, features: list[Tensor]) -> Tensor:
        logits: Tensor = self.head(features[-1])
        return logits


class _LowAndHigh(nn.Module):
    """Feeds torchvision's LR-ASPP with the features at stride 8 and the last ones."""

    def __init__(self, head: nn.Module, low: int) -> None:
        super().__init__()
        self.head = head
        self.low = low

    def forward(self, features: list[Tensor]) -> Tensor:
        logits: Tensor = self.head({"low": features[self.low], "high": features[-1]})
        return logits


def _deeplabv2(backbone: Backbone, num_values: int) -> nn.Module:
    return Aspp(backbone.out_channels, num_values, _rates((6, 12, 18, 24), backbone.stride))


def _deeplabv3(backbone: Backbone, num_values: int) -> nn.Module:
    heads = _torchvision_heads("deeplabv3")
    return _LastFeatures(heads.DeepLabHead(backbone.out_channels, num_values, _rates((12, 24, 36), backbone.stride)))


def _lraspp(backbone: Backbone, num_values: int) -> nn.Module:
    low = stage_of_stride(backbone, 8)
    heads = _torchvision_heads("lraspp")
    head = heads.LRASPPHead(backbone.stage_channels[low], backbone.out_channels, num_values, 128)
    return _LowAndHigh(head, low)


def _torchvision_heads(module: str) -> Any:
    return getattr(torchvision().models.segmentation, module)


HEADS: dict[str, Callable[[Backbone, int], nn.Module]] = {
    "deeplabv2": _deeplabv2,
    "deeplabv3": _deeplabv3,
    "lraspp": _lraspp,
}
"""The networks by name, each as what builds its head from (backbone, K + 1)."""


def build_segmenter(
    network: str,
    backbone: Backbone,
    num_values: int,
    *,
    msc: bool = False,
    generator: torch.Generator | None = None,
) -> Segmenter:
    """Put a new head on a backbone.

    Args:
        network: a key of `HEADS`.
        backbone: built with `dilation="full"`, as DeepLab's are.
        num_values: K + 1.
        msc: add DeepLab v2's multi-scale branch; it works on any network.
        generator: the head's convolutions are drawn from it; None takes torch's global one.

    Raises:
        UsageError: unknown network.
    """
    if network not in HEADS:
        raise UsageError(f"unknown network {network}", remedy=f"Choose one of {', '.join(HEADS)}")
    head = HEADS[network](backbone, num_values)
    _reset(head, generator)
    return Segmenter(backbone, head, network=network, num_values=num_values, msc=msc)


def stage_of_stride(backbone: Backbone, stride: int) -> int:
    """Return the index of the first stage whose features have one cell per `stride` pixels; measured on zeros."""
    was_training = backbone.training
    parameter = next(backbone.parameters())
    with torch.no_grad():
        maps = backbone.eval().features(torch.zeros(1, 3, 64, 64, device=parameter.device))
    backbone.train(was_training)
    return next((i for i, m in enumerate(maps) if m.shape[2] <= 64 // stride), len(maps) - 1)


def _rates(at_stride_8: Sequence[int], stride: int) -> list[int]:
    """Return the dilation rates that cover as many pixels at `stride` as the given ones do at stride 8."""
    return [max(1, rate * 8 // stride) for rate in at_stride_8]


def _reset(head: nn.Module, generator: torch.Generator | None) -> None:
    """Draw summed branches from N(0, 0.01) as published, other convolutions uniformly within ±1/√inputs."""
    with torch.no_grad():
        for module in head.modules():
            if isinstance(module, nn.Conv2d):
                if isinstance(head, Aspp):
                    module.weight.normal_(0.0, 0.01, generator=generator)
                else:
                    bound = module.weight[0].numel() ** -0.5
                    module.weight.uniform_(-bound, bound, generator=generator)
                if module.bias is not None:
                    module.bias.zero_()
