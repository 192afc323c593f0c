"""Backbones keep torchvision's numbers, at the strides the literature uses."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from recam_cli.core.errors import UsageError
from recam_cli.core.models.backbones import BACKBONES, build_backbone, head_weight
from recam_cli.core.models.torchvision_gate import torchvision

LIGHT = ("resnet18", "mobilenet_v2")


def _randomised(backbone):
    generator = torch.Generator().manual_seed(0)
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low, high in (
                (module.running_mean, -0.2, 0.2),
                (module.running_var, 0.5, 2.0),
                (module.weight.data, 0.5, 1.5),
                (module.bias.data, -0.2, 0.2),
            ):
                tensor.copy_(torch.rand(tensor.shape, generator=generator) * (high - low) + low)
    return backbone


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize("stride", [8, 16])
def test_features_have_the_stated_channels_and_stride(name, stride):
    backbone = build_backbone(name, stride=stride).eval()
    with torch.no_grad():
        maps = backbone.features(torch.zeros(1, 3, 32, 64))
    assert tuple(m.shape[1] for m in maps) == backbone.stage_channels
    assert maps[-1].shape[2:] == (32 // stride, 64 // stride)
    assert backbone.out_channels == backbone.stage_channels[-1]


@pytest.mark.parametrize("name", LIGHT)
def test_at_its_natural_stride_it_computes_what_torchvision_computes(name):
    torch.manual_seed(0)
    model = getattr(torchvision().models, name)(weights=None).eval()
    backbone = build_backbone(name, stride=32, state=model.state_dict()).eval()
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        if name == "mobilenet_v2":
            expected = model.features(images)
        else:
            expected = nn.Sequential(*list(model.children())[:-2])(images)
        torch.testing.assert_close(backbone(images), expected)


def test_published_resnet_keeps_stride_16_by_not_striding_without_dilation():
    layer4 = build_backbone("resnet50", stride=16).stages[4]
    assert {m.stride for m in layer4.modules() if isinstance(m, nn.Conv2d)} == {(1, 1)}
    assert {m.dilation for m in layer4.modules() if isinstance(m, nn.Conv2d)} == {(1, 1)}


def test_published_stride_8_dilates_by_two_after_the_first_block():
    stages = build_backbone("resnet50", stride=8).stages
    for stage in (stages[3], stages[4]):
        rates = [block.conv2.dilation for block in stage]
        assert rates == [(1, 1)] + [(2, 2)] * (len(rates) - 1)


def test_full_dilation_replaces_every_stride_taken_out():
    stages = build_backbone("resnet50", stride=8, dilation="full").stages
    assert [block.conv2.dilation[0] for block in stages[3]] == [1] + [2] * 5
    assert [block.conv2.dilation[0] for block in stages[4]] == [2, 4, 4]


@pytest.mark.parametrize("name", LIGHT)
def test_folding_frozen_norms_changes_no_output_no_gradient_and_no_key(name):
    plain = _randomised(build_backbone(name))
    folded = _randomised(build_backbone(name))
    folded.load_state_dict(plain.state_dict())
    folded.freeze_statistics()
    assert list(plain.state_dict()) == list(folded.state_dict())
    plain.eval()
    folded.train()
    images = torch.randn(2, 3, 48, 48, generator=torch.Generator().manual_seed(1))
    outputs = [backbone(images) for backbone in (plain, folded)]
    torch.testing.assert_close(outputs[1], outputs[0], rtol=1e-3, atol=1e-4)
    for output in outputs:
        output.square().mean().backward()
    ours = dict(folded.named_parameters())
    for key, parameter in plain.named_parameters():
        scale = float(parameter.grad.abs().max()) + 1e-8
        torch.testing.assert_close(ours[key].grad / scale, parameter.grad / scale, rtol=1e-2, atol=2e-3)


def test_frozen_statistics_do_not_move_in_training():
    backbone = build_backbone("resnet18")
    backbone.freeze_statistics()
    before = {k: v.clone() for k, v in backbone.state_dict().items() if "running" in k}
    backbone.train()(torch.randn(2, 3, 32, 32))
    after = backbone.state_dict()
    assert all(torch.equal(after[k], v) for k, v in before.items())
    assert any(p.requires_grad for k, p in backbone.named_parameters() if "bn" in k)


def test_statistics_move_where_they_are_not_frozen():
    backbone = build_backbone("resnet18")
    before = backbone.stages[0][1].running_mean.clone()
    assert backbone.train() is backbone
    backbone(torch.randn(2, 3, 32, 32))
    assert not torch.equal(before, backbone.stages[0][1].running_mean)


def test_the_frozen_stem_is_the_first_convolution_and_its_norm_only():
    backbone = build_backbone("resnet50")
    backbone.freeze_stem()
    frozen = [k for k, p in backbone.named_parameters() if not p.requires_grad]
    assert frozen == ["stages.0.0.weight", "stages.0.1.weight", "stages.0.1.bias"]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda s: s.pop("conv1.weight"), "lacks conv1.weight"),
        (lambda s: s.update(extra=torch.zeros(1)), "unknown extra"),
        (lambda s: s.update({"conv1.weight": torch.zeros(1)}), "another shape of conv1.weight"),
    ],
)
def test_weights_of_another_network_are_refused_naming_the_first_difference(change, word):
    state = torchvision().models.resnet18(weights=None).state_dict()
    change(state)
    with pytest.raises(ValueError, match=word):
        build_backbone("resnet18", state=state)


@pytest.mark.parametrize("arguments", [{"name": "resnet19"}, {"name": "resnet18", "stride": 4}])
def test_unknown_names_and_strides_are_usage_errors(arguments):
    with pytest.raises(UsageError):
        build_backbone(**arguments)


def test_head_weight_is_found_where_there_is_one_linear_layer():
    assert head_weight(torchvision().models.resnet18(weights=None).state_dict()).shape == (1000, 512)
    assert head_weight(torchvision().models.mobilenet_v2(weights=None).state_dict()).shape == (1000, 1280)
    assert head_weight({}) is None
