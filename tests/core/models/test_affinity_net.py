from __future__ import annotations

import pytest
import torch

from recam_cli.core.affinity.pairs import first_cells, offsets
from recam_cli.core.models.affinity_net import FEATURES, AffinityNet
from recam_cli.core.models.backbones import BACKBONES, build_backbone


def net_of(name):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = AffinityNet(build_backbone(name, stride=AffinityNet.backbone_stride))
    net.reset(torch.Generator().manual_seed(0))
    return net.eval()


def photos(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize("size", [(64, 96), (61, 37), (33, 1)])
def test_every_backbone_gives_features_per_eight_pixels(name, size):
    if name.startswith(("resnet50", "resnet101")) and size != (64, 96):
        pytest.skip("slow, and like the smaller ones")
    with torch.no_grad():
        features = net_of(name)(photos(2, 3, *size))
    assert tuple(features.shape) == (2, FEATURES, -(-size[0] // 8), -(-size[1] // 8))
    assert torch.isfinite(features).all()
    assert features.std() > 0


def test_the_walk_holds_the_power_of_each_pair_s_affinity():
    net, images = net_of("mobilenet_v2"), photos(1, 3, 40, 56)
    with torch.no_grad():
        features, walk = net(images), net.walk(images, radius=3, beta=8.0)

    assert walk.passable is None
    assert (walk.transition.height, walk.transition.width) == (5, 7)
    for weight, o in zip(walk.transition.weights, offsets(3), strict=True):
        rows, columns = first_cells(5, 7, o)
        for i, y in enumerate(range(rows.start, rows.stop)):
            for j, x in enumerate(range(columns.start, columns.stop)):
                apart = (features[0, :, y, x] - features[0, :, y + o.dy, x + o.dx]).abs().mean()
                assert float(weight[0, i, j]) == pytest.approx(float(torch.exp(-apart) ** 8), rel=1e-4)


def test_only_the_branch_learns():
    net = net_of("resnet18").train()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    optimiser = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=0.1)
    net(photos(2, 3, 32, 32)).square().mean().backward()
    optimiser.step()
    changed = {k for k, v in net.state_dict().items() if not torch.equal(v, before[k])}
    assert changed == {k for k in before if not k.startswith("backbone.")}


def test_the_last_convolution_starts_four_times_as_wide_as_by_glorot_s_rule_and_by_the_generator_alone():
    weight = net_of("mobilenet_v2").fuse.weight.detach()
    bound = 4 * (6 / (2 * FEATURES)) ** 0.5
    assert 0.99 * bound < float(weight.abs().max()) <= bound
    assert torch.equal(net_of("mobilenet_v2").fuse.weight.detach(), weight)
