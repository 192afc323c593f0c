from __future__ import annotations

import pytest
import torch

from recam_cli.core.models.backbones import BACKBONES, build_backbone
from recam_cli.core.models.displacement import DisplacementBranch
from recam_cli.core.models.irnet import BoundaryNet


def net_of(name, *, displacement=True):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        backbone = build_backbone(name)
    net = BoundaryNet(backbone, displacement=displacement)
    net.reset(torch.Generator().manual_seed(0))
    return net.eval()


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize("size", [(64, 96), (61, 37), (33, 1)])
def test_every_backbone_gives_a_field_of_one_cell_per_four_pixels(name, size):
    if name.startswith(("resnet50", "resnet101")) and size != (64, 96):
        pytest.skip("slow, and like the smaller ones")
    with torch.inference_mode():
        scores, field = net_of(name).boundaries_with_field(torch.randn(2, 3, *size))
    assert tuple(scores.shape) == (2, *BoundaryNet.grid_size(*size))
    assert tuple(field.shape) == (2, 2, *BoundaryNet.grid_size(*size))
    assert torch.isfinite(field).all()


def test_for_resnet50_the_layers_are_the_published_ones():
    branch = DisplacementBranch((64, 256, 512, 1024, 2048))
    shapes = [tuple(p.shape[:2]) for p in branch.parameters() if p.dim() == 4]
    reduce = [(64, 64), (128, 256), (256, 512), (256, 1024), (256, 2048)]
    assert shapes == [*reduce, (256, 768), (256, 448), (2, 256)]
    assert [m.num_groups for m in branch.modules() if isinstance(m, torch.nn.GroupNorm)] == [8, *[16] * 6]


def test_boundaries_are_the_same_with_and_without_it():
    images = torch.randn(2, 3, 48, 64, generator=torch.Generator().manual_seed(1))
    alone, both = net_of("resnet18", displacement=False), net_of("resnet18")
    with torch.inference_mode():
        assert torch.equal(alone.boundaries(images), both.boundaries_with_field(images)[0])
        assert torch.equal(alone(images), both.with_field(images)[0])


def test_the_field_is_that_of_the_images_not_of_their_mirror_images():
    net, images = net_of("resnet18"), torch.randn(2, 3, 48, 64)
    with torch.inference_mode():
        assert torch.allclose(net.boundaries_with_field(images)[1], net.with_field(images)[1], atol=1e-4)


def test_the_mean_is_taken_off_in_evaluation_only():
    net, images = net_of("resnet18"), torch.randn(1, 3, 32, 32)
    with torch.inference_mode():
        before = net.with_field(images)[1]
        net.displacement.mean.copy_(torch.tensor([1.0, -2.0]))
        shift = before - net.with_field(images)[1]
        assert torch.allclose(shift[:, 0], torch.ones(1, 8, 8), atol=1e-5)
        assert torch.allclose(shift[:, 1], torch.full((1, 8, 8), -2.0), atol=1e-5)
        assert torch.allclose(net.train().with_field(images)[1], before, atol=1e-5)
