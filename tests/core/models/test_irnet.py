from __future__ import annotations

import pytest
import torch

from recam_cli.core.models.backbones import BACKBONES, build_backbone
from recam_cli.core.models.irnet import BoundaryNet


def net_of(name):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = BoundaryNet(build_backbone(name))
    net.reset(torch.Generator().manual_seed(0))
    return net.eval()


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize("size", [(64, 96), (61, 37), (33, 1)])
def test_every_backbone_gives_one_score_per_four_pixels(name, size):
    if name.startswith(("resnet50", "resnet101")) and size != (64, 96):
        pytest.skip("slow, and like the smaller ones")
    scores = net_of(name).boundaries(torch.randn(2, 3, *size))
    assert tuple(scores.shape) == (2, *BoundaryNet.grid_size(*size))
    assert (scores >= 0).all()
    assert (scores <= 1).all()


def test_a_mirrored_image_has_mirrored_boundaries():
    net, images = net_of("resnet18"), torch.randn(1, 3, 32, 64)
    assert torch.allclose(net.boundaries(images.flip(3)), net.boundaries(images).flip(2), atol=1e-5)


def test_only_the_branch_learns():
    net = net_of("resnet18").train()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    optimiser = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=0.1)
    net(torch.randn(2, 3, 32, 32)).mean().backward()
    optimiser.step()
    changed = {k for k, v in net.state_dict().items() if not torch.equal(v, before[k])}
    assert changed
    assert not any(k.startswith("backbone.") for k in changed)
