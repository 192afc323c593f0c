"""Backbones: torchvision's networks cut into five stages, with the stride the CAM literature uses.

A backbone maps (B, 3, H, W) to (B, C, H / stride, W / stride). The published ReCAM network is ResNet-50 with stride 16
and no dilation: layer4 simply keeps the resolution. Stride 8 keeps it from the fourth stage on, with dilation 2 after
the first block of each. Segmentation networks dilate in full instead (DeepLab). Adding a backbone: one builder that
returns its five stages, one line in `BACKBONES`. Names `timm/…` are those of the library timm (`timm_backbones`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from recam_cli.core.errors import UsageError
from recam_cli.core.models.efficientnet_lite import CHANNELS, EfficientNetLite0, converted
from recam_cli.core.models.frozen_norm import fold_frozen_norms
from recam_cli.core.models.torchvision_gate import torchvision
from recam_cli.core.settings.backbone_names import is_timm

Dilation = Literal["published", "full"]
_HEADS = ("fc.", "classifier.")


class Backbone(nn.Module):
    """Five stages, each halving the resolution at most once.

    Attributes:
        name: registry name.
        stride: input pixels per output cell.
        stage_channels: channels after each stage.
        out_channels: channels of the last stage, C.
        frozen_statistics: whether batch norm keeps its running statistics in training, too.
    """

    def __init__(self, name: str, stages: list[nn.Sequential], channels: tuple[int, ...], stride: int) -> None:
        super().__init__()
        self.name = name
        self.stride = stride
        self.stage_channels = channels
        self.out_channels = channels[-1]
        self.frozen_statistics = False
        self.stages = nn.ModuleList(stages)

    def forward(self, images: Tensor) -> Tensor:
        """Map normalised images (B, 3, H, W) to features (B, C, h, w)."""
        for stage in self.stages:
            images = stage(images)
        return images

    def features(self, images: Tensor) -> list[Tensor]:
        """Return the feature maps after every stage, first to last."""
        maps = []
        for stage in self.stages:
            images = stage(images)
            maps.append(images)
        return maps

    def freeze_statistics(self) -> None:
        """Keep batch norm in evaluation mode from now on (its affine part still trains)."""
        self.frozen_statistics = True
        fold_frozen_norms(self)
        self.train(self.training)

    def freeze_stem(self) -> None:
        """Take the first convolution and its norm out of training, as published (`recipe`: conv1, bn1)."""
        modules = list(self.stages[0].modules())
        first = next(m for m in modules if isinstance(m, nn.Conv2d))
        norm = next((m for m in modules if isinstance(m, nn.BatchNorm2d)), None)
        for module in (first, norm):
            for parameter in module.parameters() if module is not None else ():
                parameter.requires_grad_(False)

    def freeze_stages(self, count: int) -> None:
        """Take the first `count` stages out of training."""
        for stage in list(self.stages)[:count]:
            stage.requires_grad_(False)

    def train(self, mode: bool = True) -> Backbone:
        """Switch training mode, except for frozen batch norm; returns self."""
        super().train(mode)
        if self.frozen_statistics:
            for module in self.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        return self


@dataclass(frozen=True)
class BackboneSpec:
    """One registry line.

    Attributes:
        build: returns torchvision's model without weights.
        cut: cuts that model into five stages.
        channels: channels after each stage.
        reference: torchvision's enum with the ImageNet V1 weights, for downloads; "" where they come as a package.
        converted: brings a state dict of the weights' source under the model's names; raises ValueError.
    """

    build: Callable[[], nn.Module]
    cut: Callable[[nn.Module], list[nn.Sequential]]
    channels: tuple[int, ...]
    reference: str
    converted: Callable[[dict[str, Tensor]], dict[str, Tensor]] = dict


def build_backbone(
    name: str,
    *,
    stride: int = 16,
    dilation: Dilation = "published",
    state: dict[str, Tensor] | None = None,
) -> Backbone:
    """Build a backbone.

    Args:
        name: a key of `BACKBONES`, or `timm/NAME`.
        stride: 32, 16 or 8.
        dilation: "published" as ReCAM/IRN (none at stride 16), or "full" as DeepLab (replaces every stride taken out).
            timm's networks are always dilated in full.
        state: torchvision's (timm's) state dict, with or without its classification head, or None for random weights.

    Raises:
        UsageError: unknown name or stride.
        ValueError: `state` does not fit the network.
    """
    if is_timm(name):
        from recam_cli.core.models.timm_backbones import build_timm

        return build_timm(name, stride, state)
    if name not in BACKBONES:
        raise UsageError(f"unknown backbone {name}", remedy=f"Choose one of {', '.join(BACKBONES)}")
    if stride not in (8, 16, 32):
        raise UsageError(f"output stride {stride} is not available", remedy="Choose 8, 16 or 32")
    spec = BACKBONES[name]
    model = spec.build()
    if state is not None:
        _load_torchvision_state(model, state, name)
    stages = spec.cut(model)
    natural = 16 if name.startswith("vgg") else 32
    _set_stride(stages, natural, min(stride, natural), dilation)
    return Backbone(name, stages, spec.channels, min(stride, natural))


def layout_of(name: str) -> dict[str, torch.Size]:
    """Return the shapes of torchvision's (timm's) state dict of a backbone by name."""
    if is_timm(name):
        from recam_cli.core.models.timm_backbones import timm_layout

        return timm_layout(name)
    with torch.device("meta"):
        return {key: value.shape for key, value in BACKBONES[name].build().state_dict().items()}


def state_fault(name: str, layout: Mapping[str, torch.Size], state: Mapping[str, Tensor]) -> str | None:
    """Return the first reason why `state`, with or without a classification head, is not of `layout`, or None."""
    if is_timm(name):
        from recam_cli.core.models.timm_backbones import timm_fault

        return timm_fault(name, layout, state)
    try:
        state = BACKBONES[name].converted(dict(state))
    except ValueError as error:
        return str(error)
    kept = {k: v for k, v in state.items() if not k.startswith(_HEADS)}
    expected = {k for k in layout if not k.startswith(_HEADS) and not k.endswith("num_batches_tracked")}
    missing = sorted(expected - kept.keys())
    unknown = sorted(k for k in kept if k not in layout)
    misfit = sorted(k for k in kept if k in layout and layout[k] != kept[k].shape)
    if not (missing or unknown or misfit):
        return None
    first = (missing or unknown or misfit)[0]
    how = "lacks" if missing else "has an unknown" if unknown else "has another shape of"
    return f"not weights of {name}: the file {how} {first}"


def _load_torchvision_state(model: nn.Module, state: dict[str, Tensor], name: str) -> None:
    fault = state_fault(name, {key: value.shape for key, value in model.state_dict().items()}, state)
    if fault is not None:
        raise ValueError(fault)
    state = BACKBONES[name].converted(state)
    model.load_state_dict({k: v for k, v in state.items() if not k.startswith(_HEADS)}, strict=False)


def _set_stride(stages: list[nn.Sequential], natural: int, stride: int, dilation: Dilation) -> None:
    """Remove the strides beyond `stride` from the last stages, dilating as asked."""
    excess = natural // stride
    rate = 1
    for stage in stages[len(stages) - excess.bit_length() + 1 :]:
        before = rate
        rate *= 2
        if dilation == "full":
            _restride(stage, first=before, rest=rate)
        elif excess == 2:
            _restride(stage, first=1, rest=1)
        else:
            _restride(stage, first=1, rest=2)


def _restride(stage: nn.Sequential, *, first: int, rest: int) -> None:
    for index, block in enumerate(stage):
        for module in block.modules():
            if isinstance(module, nn.Conv2d):
                module.stride = (1, 1)
                rate, reach = first if index == 0 else rest, module.kernel_size[0] // 2
                if reach:
                    module.dilation, module.padding = (rate, rate), (rate * reach, rate * reach)
            elif isinstance(module, nn.MaxPool2d):
                module.kernel_size, module.stride, module.padding = 3, 1, 1


def _torchvision_model(name: str) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        model: nn.Module = getattr(torchvision().models, name)(weights=None)
        return model

    return build


def _cut_resnet(model: nn.Module) -> list[nn.Sequential]:
    stem = nn.Sequential(model.conv1, model.bn1, model.relu, model.maxpool)  # type: ignore[arg-type]
    return [stem, model.layer1, model.layer2, model.layer3, model.layer4]  # type: ignore[list-item]


def _cut_mobilenet(model: nn.Module) -> list[nn.Sequential]:
    blocks = list(model.features)  # type: ignore[arg-type]
    return [nn.Sequential(*blocks[a:b]) for a, b in ((0, 2), (2, 4), (4, 7), (7, 14), (14, 19))]


def _cut_vgg(model: nn.Module) -> list[nn.Sequential]:
    layers = list(model.features)[:-1]  # type: ignore[arg-type]
    pools = [i for i, layer in enumerate(layers) if isinstance(layer, nn.MaxPool2d)]
    edges = [0, *pools, len(layers)]
    return [nn.Sequential(*layers[a:b]) for a, b in pairwise(edges)]


def _cut_efficientnet(model: nn.Module) -> list[nn.Sequential]:
    return list(model.stages)  # type: ignore[arg-type]


def _resnet(name: str, channels: tuple[int, ...], reference: str) -> BackboneSpec:
    return BackboneSpec(_torchvision_model(name), _cut_resnet, channels, reference)


_BASIC = (64, 64, 128, 256, 512)
_BOTTLENECK = (64, 256, 512, 1024, 2048)

BACKBONES: dict[str, BackboneSpec] = {
    "resnet18": _resnet("resnet18", _BASIC, "ResNet18_Weights"),
    "resnet34": _resnet("resnet34", _BASIC, "ResNet34_Weights"),
    "resnet50": _resnet("resnet50", _BOTTLENECK, "ResNet50_Weights"),
    "resnet101": _resnet("resnet101", _BOTTLENECK, "ResNet101_Weights"),
    "vgg16": BackboneSpec(_torchvision_model("vgg16"), _cut_vgg, (64, 128, 256, 512, 512), "VGG16_Weights"),
    "mobilenet_v2": BackboneSpec(
        _torchvision_model("mobilenet_v2"), _cut_mobilenet, (16, 24, 32, 96, 1280), "MobileNet_V2_Weights"
    ),
    "efficientnet_lite0": BackboneSpec(EfficientNetLite0, _cut_efficientnet, CHANNELS, "", converted),
}


def head_of(name: str, state: dict[str, Tensor] | None) -> Tensor | None:
    """Return the ImageNet classifier's weight (1000, C) in weights of backbone `name`, or None where there is none.

    None, too, where it looks at other features than the backbone's last ones.
    """
    if is_timm(name):
        from recam_cli.core.models.timm_backbones import timm_head

        return timm_head(name, state) if state is not None else None
    weight = None if state is None else head_weight(BACKBONES[name].converted(state))
    return weight if weight is not None and weight.shape[1] == BACKBONES[name].channels[-1] else None


def head_weight(state: dict[str, Tensor]) -> Tensor | None:
    """Return the ImageNet classifier's weight (1000, C) of a torchvision state dict, or None without one."""
    for key in ("fc.weight", "classifier.1.weight"):
        if key in state and state[key].dim() == 2:
            return torch.as_tensor(state[key])
    return None
