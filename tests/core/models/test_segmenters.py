from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from recam_cli.core.errors import UsageError
from recam_cli.core.models.backbones import build_backbone
from recam_cli.core.models.segmenters import HEADS, Aspp, build_segmenter, stage_of_stride

VALUES = 4


def make(network="deeplabv2", backbone="mobilenet_v2", stride=16, *, msc=False, seed=0):
    torch.manual_seed(0)
    body = build_backbone(backbone, stride=stride, dilation="full")
    body.freeze_statistics()
    generator = torch.Generator().manual_seed(seed)
    return build_segmenter(network, body, VALUES, msc=msc, generator=generator)


@pytest.mark.parametrize("network", HEADS)
@pytest.mark.parametrize("backbone", ["mobilenet_v2", "resnet18"])
@pytest.mark.parametrize("stride", [8, 16])
def test_every_network_gives_one_map_per_value_on_every_kind_of_backbone(network, backbone, stride):
    segmenter = make(network, backbone, stride)

    with torch.no_grad():
        maps = segmenter(torch.randn(2, 3, 64, 96))

    cells = 8 if network == "lraspp" else stride  # LR-ASPP joins its features at stride 8
    assert [tuple(m.shape) for m in maps] == [(2, VALUES, 64 // cells, 96 // cells)]


@pytest.mark.parametrize("network", HEADS)
def test_every_parameter_of_the_head_learns(network):
    segmenter = make(network).train()

    sum(m.square().sum() for m in segmenter(torch.randn(2, 3, 64, 64))).backward()

    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in segmenter.head.parameters())


def test_aspp_is_the_sum_of_its_dilated_convolutions():
    head = Aspp(5, VALUES, (1, 2, 3))
    features = torch.randn(1, 5, 9, 9)

    wanted = sum(F.conv2d(features, b.weight, b.bias, padding=b.padding, dilation=b.dilation) for b in head.branches)

    assert torch.allclose(head([features]), wanted, atol=1e-6)
    assert [b.dilation for b in head.branches] == [(1, 1), (2, 2), (3, 3)]


@pytest.mark.parametrize(
    ("network", "stride", "rates"),
    [
        ("deeplabv2", 8, {6, 12, 18, 24}),
        ("deeplabv2", 16, {3, 6, 9, 12}),
        ("deeplabv3", 8, {12, 24, 36}),
        ("deeplabv3", 16, {6, 12, 18}),
    ],
)
def test_rates_reach_as_far_in_pixels_at_either_stride(network, stride, rates):
    head = make(network, stride=stride).head

    found = {m.dilation[0] for m in head.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)}

    assert found - {1} == rates


def test_deeplabv2_starts_from_small_normal_weights_and_no_bias():
    branches = make().head.branches
    weights = torch.cat([b.weight.detach().flatten() for b in branches])

    assert float(weights.std()) == pytest.approx(0.01, rel=0.02)
    assert all(b.bias.abs().max() == 0 for b in branches)


@pytest.mark.parametrize("network", HEADS)
def test_the_head_follows_from_the_generator_alone(network):
    one, two, other = make(network, seed=1), make(network, seed=1), make(network, seed=2)

    assert all(torch.equal(a, b) for a, b in zip(one.head.parameters(), two.head.parameters(), strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(one.head.parameters(), other.head.parameters(), strict=True))


def test_msc_adds_two_smaller_maps_and_their_maximum():
    segmenter = make(msc=True).eval()
    images = torch.randn(1, 3, 64, 128)

    with torch.no_grad():
        maps = segmenter(images)
        segmenter.msc = False
        single = segmenter(images)[0]

    assert [tuple(m.shape[2:]) for m in maps] == [(4, 8), (3, 6), (2, 4), (4, 8)]
    assert torch.equal(maps[0], single)
    grown = [F.interpolate(m, size=(4, 8), mode="bilinear", align_corners=False) for m in maps[1:3]]
    assert torch.equal(maps[3], torch.maximum(maps[0], torch.maximum(*grown)))


def test_predictions_are_made_from_the_last_map():
    segmenter = make(msc=True).eval()
    images = torch.randn(1, 3, 64, 64)

    with torch.no_grad():
        assert torch.equal(segmenter.logits(images), segmenter(images)[-1])


def test_training_moves_no_statistics_of_the_backbone():
    segmenter = make("lraspp").train()
    before = [b.clone() for b in segmenter.backbone.buffers()]

    segmenter(torch.randn(2, 3, 64, 64))

    assert all(torch.equal(a, b) for a, b in zip(before, segmenter.backbone.buffers(), strict=True))


@pytest.mark.parametrize(
    ("name", "stride", "stage"), [("mobilenet_v2", 16, 2), ("resnet18", 16, 2), ("resnet18", 8, 2)]
)
def test_the_stage_of_a_stride_is_the_first_with_that_resolution(name, stride, stage):
    backbone = build_backbone(name, stride=stride, dilation="full").train()

    assert stage_of_stride(backbone, 8) == stage
    assert backbone.training


@pytest.mark.slow
@pytest.mark.parametrize("network", HEADS)
def test_every_network_fits_vgg_too(network):
    with torch.no_grad():
        (found,) = make(network, "vgg16")(torch.randn(1, 3, 64, 64))

    cells = 8 if network == "lraspp" else 4
    assert tuple(found.shape) == (1, VALUES, cells, cells)


def test_an_unknown_network_names_the_known_ones():
    with pytest.raises(UsageError, match=r"unknown network unet\. Choose one of deeplabv2, deeplabv3, lraspp"):
        build_segmenter("unet", build_backbone("mobilenet_v2"), VALUES)
