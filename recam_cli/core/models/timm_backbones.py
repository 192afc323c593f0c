"""The networks of the library timm, as `timm/NAME`: one adapter for its convolutional networks and transformers.

timm is an extra. Of each network its `forward_intermediates` is used, what `features_only=True` is made of, so that
state dicts keep timm's own names. What differs from network to network (channels, strides, whether odd sizes can be
had, which layers the maps need) is measured on a small picture when the network is built.

Convolutional networks: the last five maps; networks of four stages, such as ConvNeXt, give their first twice. The last
map is what their own classifier pools (EfficientNet's with its head convolution). The stride is the one asked for where
timm can dilate the network, else its own. Plain transformers (ViT, DeiT, DINOv2, …): the patch tokens, without class
and register tokens, after the first block and after each quarter of the blocks, with the final norm on each. All five
have the stride of a patch; early blocks still know where edges are, which five times the last would not.

A network that would drop what is over at the right and lower edge of an image is given one that is continued there to
whole cells, its last pixels repeated, so that all give ceil(H / stride) rows, as recam's own do.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recam_cli.core.errors import UsageError
from recam_cli.core.models.backbones import Backbone
from recam_cli.core.models.frozen_norm import fold_frozen_norms, foldable_pairs
from recam_cli.core.models.renormalised import Renormalised
from recam_cli.core.models.timm_library import timm_model

_MAPS = 5
_ODD = (67, 97)
"""A picture's (rows, columns) that no stride divides."""
_EVEN = (64, 96)
"""One that every stride but a patch of 14 divides."""


class TimmBackbone(Backbone):
    """A network of timm's in the place of five stages.

    Args:
        name: `timm/NAME`.
        model: timm's network, whole.

    Raises:
        UsageError: it does not give maps of pictures of every size.
    """

    def __init__(self, name: str, model: nn.Module) -> None:
        trunk = _Trunk(model)
        try:
            maps = trunk.measure()
        except (RuntimeError, AssertionError, ValueError, TypeError, AttributeError, IndexError) as error:
            reason = str(error).strip().split("\n")[0]
            raise UsageError(
                f"{name} gives no feature maps of pictures of every size ({type(error).__name__}: {reason})",
                remedy="Choose a convolutional network or a plain transformer (vit_…, deit_…)",
            ) from None
        super().__init__(name, [nn.Sequential(trunk)], tuple(m.shape[1] for m in maps), trunk.stride)

    def forward(self, images: Tensor) -> Tensor:
        """Map normalised images (B, 3, H, W) to features (B, C, ceil(H / stride), ceil(W / stride))."""
        last: Tensor = self.trunk_of()(images)[-1]
        return last

    def features(self, images: Tensor) -> list[Tensor]:
        """Return five feature maps, the finest first."""
        maps: list[Tensor] = self.trunk_of()(images, every=True)
        return maps

    def trunk_of(self) -> _Trunk:
        """Return the network that all stages share."""
        trunk = next(self.stages[0].children())
        assert isinstance(trunk, _Trunk)
        return trunk

    def freeze_statistics(self) -> None:
        """Keep batch norm in evaluation mode from now on; norms are folded if that changes no output."""
        self.frozen_statistics = True
        if _folds_exactly(self.trunk_of()):
            fold_frozen_norms(self)
        self.train(self.training)

    def freeze_stem(self) -> None:
        """Take a transformer's patch embedding out of training; of others the first convolution and its norm."""
        trunk = self.trunk_of()
        embedding = getattr(trunk.model, "patch_embed", None)
        if isinstance(embedding, nn.Module):
            embedding.requires_grad_(False)
            return
        layers = [m for m in trunk.model.modules() if not list(m.children()) or isinstance(m, nn.BatchNorm2d)]
        first = next(i for i, layer in enumerate(layers) if isinstance(layer, nn.Conv2d))
        layers[first].requires_grad_(False)
        if first + 1 < len(layers) and isinstance(layers[first + 1], nn.BatchNorm2d):
            layers[first + 1].requires_grad_(False)

    def freeze_stages(self, count: int) -> None:
        """Take all that the first `count` maps are made by out of training."""
        if count:
            for parameter in self.trunk_of().reached(count):
                parameter.requires_grad_(False)


class _Trunk(nn.Module):
    """timm's network with its own input, and what was measured of it.

    Attributes:
        normalise: brings images to the normalisation its weights were trained with.
        model: timm's network.
        plain: whether it is a plain transformer, whose maps are patch tokens.
        stride: input pixels per cell of the last map.
        whole: whether images are continued to whole cells.
        final: whether the last map is what the classifier pools instead of the last stage's own.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        about: Any = model.pretrained_cfg
        self.normalise = Renormalised(about["mean"], about["std"])
        self.model = model
        self.plain = hasattr(model, "num_prefix_tokens") and hasattr(model, "blocks")
        self.stride, self.whole, self.final = 1, False, False
        self.indices: list[int] = []

    def forward(self, images: Tensor, every: bool = False) -> list[Tensor]:
        """Return the five maps of images (B, 3, H, W), or the last alone."""
        if self.whole:
            missing = [-side % self.stride for side in images.shape[2:]]
            if any(missing):
                images = F.pad(images, (0, missing[1], 0, missing[0]), mode="replicate")
        wanted = self.indices if every else self.indices[-1:]
        maps = self._maps(self.normalise(images), wanted)
        return [maps[0]] * (_MAPS - len(maps)) + maps if every else maps

    def _maps(self, images: Tensor, indices: list[int] | None) -> list[Tensor]:
        model: Any = self.model
        options: dict[str, Any] = {"indices": indices, "norm": self.plain, "output_fmt": "NCHW"}
        if not self.final:
            return list(model.forward_intermediates(images, intermediates_only=True, **options))
        last, maps = model.forward_intermediates(images, **options)
        return [*maps[:-1], last]

    def measure(self) -> list[Tensor]:
        """Find out what the attributes say, drop layers that no map needs, and return maps of a small picture."""
        was_training = self.training
        self.eval()
        images = self._picture(_EVEN)
        with torch.no_grad():
            if self.plain:
                self.stride = int(self.model.patch_embed.feat_ratio())  # type: ignore[operator, union-attr]
                self.whole = True
                self.indices = _quarters(len(self.model.blocks))  # type: ignore[arg-type]
            else:
                found = self._maps(images, None)
                count = len(found)
                self.indices = list(range(count))[-_MAPS:] if count <= _MAPS + 1 else _quarters(count)
                self.stride = _EVEN[0] // found[-1].shape[2]
                last = self.model.forward_intermediates(images, indices=self.indices)[0]  # type: ignore[operator]
                self.final = last.dim() == 4 and last.shape[2:] == found[-1].shape[2:]
                self.whole = not self._rounds_up()
            maps: list[Tensor] = self(self._picture(_ODD), every=True)
        if tuple(maps[-1].shape[2:]) != _cells(self.stride) or len(maps) != _MAPS:
            raise ValueError(f"a picture of {_ODD} pixels gives a map of {tuple(maps[-1].shape[2:])} cells")
        self._drop_unused()
        self.train(was_training)
        return maps

    def reached(self, count: int) -> list[nn.Parameter]:
        """Return the parameters that the first `count` maps depend on."""
        was_training = self.training
        self.eval()
        parameters = [p for p in self.parameters() if p.requires_grad]
        with torch.enable_grad():
            maps = self(self._picture(_EVEN), every=True)[:count]
            total = torch.stack([m.float().sum() for m in maps]).sum()
            found = torch.autograd.grad(total, parameters, allow_unused=True)
        self.train(was_training)
        return [p for p, gradient in zip(parameters, found, strict=True) if gradient is not None]

    def _rounds_up(self) -> bool:
        """Return whether the network itself makes a cell of what is over at the edges."""
        try:
            maps = self._maps(self._picture(_ODD), self.indices[-1:])
        except (RuntimeError, AssertionError, ValueError):
            return False
        return tuple(maps[-1].shape[2:]) == _cells(self.stride)

    def _drop_unused(self) -> None:
        """Take out layers that no map depends on, such as the classifier: kept for nothing otherwise."""
        used = set(self.reached(_MAPS))
        for parent in list(self.model.modules()):
            for name, layer in list(parent.named_children()):
                if (own := list(layer.parameters())) and not used.intersection(own):
                    setattr(parent, name, nn.Identity())

    def _picture(self, size: tuple[int, int]) -> Tensor:
        parameter = next(self.parameters())
        columns = torch.linspace(-1, 1, size[0] * size[1], device=parameter.device, dtype=parameter.dtype)
        return columns.sin().view(1, 1, *size).expand(1, 3, *size).contiguous()


def build_timm(name: str, stride: int, state: Mapping[str, Tensor] | None) -> Backbone:
    """Build a backbone of timm's.

    Args:
        name: `timm/NAME`, with timm's tag of its weights or without.
        stride: 32, 16 or 8; a network that cannot have it keeps its own. Or exactly its own.
        state: timm's state dict, with or without the classifier, or None for random weights.

    Raises:
        MissingExtraError: timm is not installed.
        UsageError: timm knows no such network, it gives no maps, or it cannot have this stride.
        ValueError: `state` does not fit the network.
    """
    model = timm_model(name, stride)
    layout = {key: value.shape for key, value in model.state_dict().items()}
    backbone = TimmBackbone(name, model)
    if stride not in (8, 16, 32, backbone.stride):
        raise UsageError(f"{name} has the output stride {backbone.stride}, not {stride}", remedy="Choose 8, 16 or 32")
    if state is not None:
        kept = model.state_dict()
        if (fault := _fault(name, layout, kept, state)) is not None:
            raise ValueError(fault)
        model.load_state_dict({key: value for key, value in state.items() if key in kept}, strict=False)
    return backbone


def timm_layout(name: str) -> dict[str, torch.Size]:
    """Return the shapes of timm's state dict of a network, with its classifier; errors as `build_timm`."""
    return {key: value.shape for key, value in timm_model(name, 32).state_dict().items()}


def timm_fault(name: str, layout: Mapping[str, torch.Size], state: Mapping[str, Tensor]) -> str | None:
    """Return the first reason why `state`, with or without the classifier, is not of `layout`, or None."""
    return _fault(name, layout, TimmBackbone(name, timm_model(name, 32)).trunk_of().model.state_dict(), state)


def timm_head(name: str, state: Mapping[str, Tensor] | None) -> Tensor | None:
    """Return the weight (classes, C) of the classifier in `state` where it is linear on the last map's mean, or None.

    Whether it is, is measured: on ConvNeXt's there is a norm between, a transformer's looks at the class token.
    """
    model: Any = timm_model(name, 32)
    heads = model.pretrained_cfg.get("classifier")
    head = heads if isinstance(heads, str) else ""
    weight = None if state is None else state.get(f"{head}.weight")
    try:
        layer = model.get_submodule(head)
    except AttributeError:
        return None
    if weight is None or not isinstance(layer, nn.Linear) or weight.shape != layer.weight.shape:
        return None
    trunk = _Trunk(model).eval()
    images = trunk._picture(_EVEN)
    with torch.no_grad():
        logits = model(trunk.normalise(images))
        bare = copy.deepcopy(layer)
        trunk.measure()
        pooled = trunk(images)[-1].mean(dim=(2, 3))
        if pooled.shape[1] != weight.shape[1]:
            return None
        same = torch.allclose(bare(pooled), logits, rtol=1e-3, atol=1e-4 * float(logits.abs().max()))
    return torch.as_tensor(weight) if same else None


def _quarters(count: int) -> list[int]:
    """Return which of many blocks are used: the first, and the last of each quarter."""
    return [0, *(-(-count * quarter // 4) - 1 for quarter in range(1, 5))]


def _cells(stride: int) -> tuple[int, int]:
    return -(-_ODD[0] // stride), -(-_ODD[1] // stride)


def _fault(
    name: str, layout: Mapping[str, torch.Size], kept: Mapping[str, Tensor], state: Mapping[str, Tensor]
) -> str | None:
    """Return why `state` is not of a network of `layout`, of which `kept` are used, or None."""
    for how, key in _differences(layout, kept, state):
        return f"not weights of {name}: the file {how} {key}"
    return None


def _differences(
    layout: Mapping[str, torch.Size], kept: Mapping[str, Tensor], state: Mapping[str, Tensor]
) -> Iterator[tuple[str, str]]:
    yield from (("lacks", k) for k in sorted(kept) if k not in state and not k.endswith("num_batches_tracked"))
    yield from (("has an unknown", k) for k in sorted(state) if k not in layout)
    yield from (("has another shape of", k) for k in sorted(kept) if k in state and state[k].shape != kept[k].shape)


def _folds_exactly(trunk: _Trunk) -> bool:
    """Return whether folding changes no map: in timm's networks a norm may follow another layer than its neighbour.

    Measured in double precision on a copy whose norms are far from doing nothing.
    """
    if not any(foldable_pairs(trunk)):
        return False
    trial = copy.deepcopy(trunk).cpu().double().eval()
    generator = torch.Generator().manual_seed(0)
    for module in trial.modules():
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None and module.running_var is not None:
            for tensor, low in ((module.running_mean, -0.2), (module.running_var, 0.8), (module.weight, 0.8)):
                if tensor is not None:
                    drawn = torch.rand(tensor.shape, generator=generator, dtype=torch.float64)
                    tensor.data.copy_(drawn * 0.4 + low)
    try:
        with torch.no_grad():
            before = trial(trial._picture(_EVEN), every=True)
            fold_frozen_norms(trial)
            after = trial(trial._picture(_EVEN), every=True)
    except (RuntimeError, AttributeError):  # a network that is not to be had in double precision, or not folded
        return False
    pairs = zip(before, after, strict=True)
    return all(torch.allclose(b, a, rtol=1e-6, atol=1e-9 * float(b.abs().max())) for b, a in pairs)
