"""EfficientNet-Lite0: TensorFlow's padding, frozen norms folded into it, the package's names, its own normalisation."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from recam_cli.core.data.transforms import IMAGENET_MEAN, IMAGENET_STD
from recam_cli.core.models.backbones import build_backbone, head_of
from recam_cli.core.models.efficientnet_lite import CHANNELS, EfficientNetLite0, converted
from recam_cli.core.models.frozen_norm import FoldedSamePadConv, fold_frozen_norms
from recam_cli.core.models.same_padding import SamePadConv

NAME = "efficientnet_lite0"


def tensorflow(images, layer):
    """Convolve as TensorFlow's documents say: ceil(n / s) cells, max(0, (cells - 1)·s + (k - 1)·d + 1 - n) zeros."""
    sides = []
    for axis in (1, 0):  # F.pad begins with the last axis
        size, stride = images.shape[2 + axis], layer.stride[axis]
        cells = size // stride + (size % stride > 0)
        reach = (layer.kernel_size[axis] - 1) * layer.dilation[axis] + 1
        zeros = max(0, (cells - 1) * stride + reach - size)
        sides += [zeros // 2, zeros - zeros // 2]
    padded = F.pad(images, sides)
    return F.conv2d(padded, layer.weight, layer.bias, layer.stride, 0, layer.dilation, layer.groups)


@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@settings(max_examples=12)
@given(st.integers(1, 17), st.integers(1, 17))
def test_padding_is_that_of_tensorflow(stride, kernel, dilation, height, width):
    torch.manual_seed(0)
    layer = SamePadConv(2, 3, kernel, stride, dilation=dilation)
    images = torch.randn(1, 2, height, width)
    found = layer(images)
    assert found.shape[2:] == (-(-height // stride), -(-width // stride))
    torch.testing.assert_close(found, tensorflow(images, layer))


def test_the_odd_pixel_lies_below_and_right():
    layer = SamePadConv(1, 1, 3, 2, bias=False)
    nn.init.zeros_(layer.weight)
    layer.weight.data[0, 0, 0, 0] = 1  # picks the first pixel of each window
    images = torch.arange(16.0).view(1, 1, 4, 4)
    assert layer(images).flatten().tolist() == [0, 2, 8, 10]


def randomised(module, seed=0):
    torch.manual_seed(seed)
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            for tensor, low, high in (
                (norm.bias, -0.2, 0.2),
                (norm.running_mean, -0.2, 0.2),
                (norm.running_var, 0.5, 2),
            ):
                tensor.data.uniform_(low, high)
    return module


@pytest.mark.parametrize("size", [9, 12])
@pytest.mark.parametrize("biased", [False, True])
def test_a_folded_norm_gives_the_same_output_and_gradients(size, biased):
    torch.manual_seed(0)
    plain = randomised(nn.Sequential(SamePadConv(3, 6, 5, 2, bias=biased), nn.BatchNorm2d(6, eps=1e-3))).eval()
    folded = nn.Sequential(SamePadConv(3, 6, 5, 2, bias=biased), nn.BatchNorm2d(6, eps=1e-3)).eval()
    folded.load_state_dict(plain.state_dict())
    assert fold_frozen_norms(folded) == 1
    assert isinstance(folded[0], FoldedSamePadConv)
    assert list(folded.state_dict()) == list(plain.state_dict())
    images = torch.randn(2, 3, size, size)
    outputs = [network(images) for network in (plain, folded)]
    torch.testing.assert_close(outputs[1], outputs[0], rtol=0, atol=1e-5)
    for output in outputs:
        output.square().sum().backward()
    for ours, theirs in zip(folded.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("stride", [8, 16, 32])
def test_the_whole_folded_network_computes_and_trains_the_same(stride):
    plain, folded = randomised(build_backbone(NAME, stride=stride)), build_backbone(NAME, stride=stride)
    folded.load_state_dict(plain.state_dict())
    folded.freeze_statistics()
    assert not [m for m in folded.modules() if type(m) in (SamePadConv, nn.BatchNorm2d)]
    images = torch.randn(1, 3, 40, 56, generator=torch.Generator().manual_seed(1))
    outputs = [network(images) for network in (plain.eval(), folded.train())]
    assert float(outputs[0].detach().abs().max()) > 0.1
    torch.testing.assert_close(outputs[1], outputs[0], rtol=0, atol=1e-4)
    for output in outputs:
        output.square().mean().backward()
    ours = dict(folded.named_parameters())
    for key, parameter in plain.named_parameters():
        scale = float(parameter.grad.abs().max()) + 1e-8
        torch.testing.assert_close(ours[key].grad / scale, parameter.grad / scale, rtol=1e-2, atol=2e-3)


@pytest.mark.parametrize("dilation", ["published", "full"])
@pytest.mark.parametrize("stride", [8, 16, 32])
def test_every_stride_keeps_sizes_and_channels(stride, dilation):
    backbone = build_backbone(NAME, stride=stride, dilation=dilation).eval()
    with torch.no_grad():
        maps = backbone.features(torch.zeros(1, 3, 50, 70))
    assert tuple(one.shape[1] for one in maps) == backbone.stage_channels == CHANNELS
    for one, at in zip(maps, (2, 4, 8, min(16, stride), stride), strict=True):
        assert one.shape[2:] == (-(-50 // at), -(-70 // at))


def test_pixels_reach_the_first_convolution_as_from_minus_one_to_one():
    pixels = torch.rand(2, 3, 8, 8)
    mean, deviation = (torch.tensor(values).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    seen = []
    network = EfficientNetLite0().eval()
    next(m for m in network.modules() if isinstance(m, SamePadConv)).register_forward_hook(
        lambda layer, inputs, output: seen.append(inputs[0])
    )
    with torch.no_grad():
        network((pixels - mean) / deviation)
    torch.testing.assert_close(seen[0], (pixels - 0.5) / 0.5, rtol=0, atol=1e-5)
    assert not [name for name in network.state_dict() if "scale" in name or "shift" in name]


def test_the_normalisation_is_that_of_uint8_photographs_too():
    from recam_cli.core.data.transforms import to_tensor

    image = torch.randint(0, 256, (5, 6, 3), dtype=torch.uint8)
    found = EfficientNetLite0().stages[0][0](to_tensor(image.numpy()))
    torch.testing.assert_close(found, image.permute(2, 0, 1) / 127.5 - 1, rtol=0, atol=1e-5)


def package_names():
    """Return the package's names in the order of the layers, written out by its own structure."""
    parts = ("weight", "bias", "running_mean", "running_var")
    names = ["_conv_stem.weight", *(f"_bn0.{part}" for part in parts)]
    for block in range(16):
        layers = ["_expand_conv", "_bn0"] if block else []
        for layer in [*layers, "_depthwise_conv", "_bn1", "_project_conv", "_bn2"]:
            names += [f"_blocks.{block}.{layer}.{part}" for part in (parts if "bn" in layer else ("weight",))]
    return [*names, "_conv_head.weight", *(f"_bn1.{part}" for part in parts), "_fc.weight", "_fc.bias"]


@pytest.fixture(scope="module")
def ours():
    state = randomised(EfficientNetLite0()).state_dict()
    return {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}


@pytest.fixture
def theirs(ours):
    """Give the weights under the package's names, in an order of no meaning."""
    named = dict(zip(package_names(), ours.values(), strict=True))
    named |= {name.replace("weight", "num_batches_tracked"): torch.tensor(7) for name in named if "bn0.weight" in name}
    return dict(sorted(named.items()))


def test_the_package_s_weights_come_under_our_names_exactly(ours, theirs):
    found = converted(theirs)
    assert list(found) == list(ours)
    assert all(found[name] is ours[name] for name in ours)


def test_converting_again_changes_nothing(ours, theirs):
    once = converted(theirs)
    assert converted(once) == once
    assert converted(dict(ours)) == ours


def test_a_backbone_of_the_package_s_weights_computes_what_the_network_does(ours, theirs):
    network = EfficientNetLite0().eval()
    network.load_state_dict(ours, strict=False)
    backbone = build_backbone(NAME, stride=32, state=theirs).eval()
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        logits = backbone(images).mean(dim=(2, 3)) @ head_of(NAME, theirs).t() + theirs["_fc.bias"]
        torch.testing.assert_close(logits, network(images))


def _without(name):
    return lambda state: state.pop(name)


@pytest.mark.parametrize(
    "change",
    [
        _without("_blocks.3._bn1.bias"),
        lambda s: s.update({"_blocks.3._bn1.other": torch.zeros(1)}),
        lambda s: s.update({"_blocks.x._bn1.bias": s.pop("_blocks.3._bn1.bias")}),
        lambda s: s.update({"_blocks.3._se.weight": s.pop("_blocks.3._bn1.weight")}),
        lambda s: s.update({"_blocks": s.pop("_blocks.3._bn1.weight")}),
        lambda s: s.update({"_blocks.weight": s.pop("_blocks.3._bn1.weight")}),
        lambda s: s.update({"_blocks.0.weight": s.pop("_blocks.3._bn1.weight")}),
        lambda s: s.update({"_swish.weight": s.pop("_conv_head.weight")}),
        lambda s: s.update({"_conv_head.weight": s["_conv_head.weight"][:640]}),
        # As many tensors, of the same shapes, but of other kinds.
        lambda s: s.update({"_conv_stem.bias": s.pop("_bn0.running_var")}),
    ],
)
def test_other_tensors_are_refused_with_one_reason(theirs, change):
    change(theirs)
    with pytest.raises(ValueError, match="not weights of efficientnet_lite0: "):
        converted(theirs)
    with pytest.raises(ValueError, match="not weights of efficientnet_lite0: "):
        build_backbone(NAME, state=theirs)


def test_weights_of_another_network_are_refused():
    with pytest.raises(ValueError, match="not weights of efficientnet_lite0: "):
        build_backbone(NAME, state=build_backbone("resnet18").state_dict())
