"""The bytes that a network takes are counted, not guessed."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from recam_cli.core import footprint
from recam_cli.core.footprint import Looking, living, looking_cost
from recam_cli.core.models.backbones import build_backbone

CPU = torch.device("cpu")


def test_tensors_count_from_their_making_to_their_end():
    def work():
        one = torch.zeros(1000)
        two = one + 1  # 8,000 bytes
        del one
        return two.view(10, 100) * 2  # a view holds nothing of its own

    assert max(living(work)) == 8000
    assert living(work)[-1] == 8000


def test_operations_in_place_take_nothing():
    given = torch.zeros(1000)
    assert max(living(lambda: given.add_(1).relu_())) == 0


def test_a_chain_holds_its_two_largest_maps_and_a_step_all_of_them():
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Sigmoid(), nn.Conv2d(8, 8, 3, padding=1), nn.Sigmoid())
    cost = looking_cost(net, CPU)
    assert (cost.per_pixel - footprint._INPUT) / footprint.SLACK == pytest.approx(2 * 8 * 4)
    images = torch.zeros(1, 3, 32, 32)
    kept = max(living(lambda: torch.autograd.grad(net(images).sum(), list(net.parameters()))))
    assert kept >= 3 * 8 * 4 * 32 * 32  # both sigmoids, and a gradient


@pytest.mark.parametrize("name", ["mobilenet_v2", "resnet18", "efficientnet_lite0"])
def test_the_cost_of_a_backbone_holds_at_other_sizes_and_for_several_images(name):
    net = build_backbone(name).eval()
    cost = looking_cost(net, CPU)
    fixed, per_pixel = cost.fixed - footprint.FIXED, cost.per_pixel - footprint._INPUT
    with torch.no_grad():
        for shape in ((1, 3, 256, 192), (3, 3, 160, 160)):
            counted = max(living(lambda shape=shape: net(torch.zeros(shape))))
            counted -= 4 * torch.Size(shape).numel()  # the input is reckoned apart
            said = (fixed + per_pixel * shape[0] * shape[2] * shape[3]) / footprint.SLACK
            assert 0.9 * counted <= said <= 1.2 * counted + (2 << 20)


def test_a_network_that_branches_holds_what_waits():
    class Waits(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList(nn.Conv2d(3, 4, 1) for _ in range(5))

        def forward(self, images):
            return torch.cat([layer(images) for layer in self.layers], dim=1)

    cost = looking_cost(Waits(), CPU)
    assert (cost.per_pixel - footprint._INPUT) / footprint.SLACK == pytest.approx((5 + 5) * 4 * 4)


def test_less_memory_means_fewer_photographs_together():
    net = nn.Conv2d(3, 64, 1)
    found = [
        Looking(footprint.Budget(size << 20, 0, 0, f"{size}MiB"), looking_cost(net, CPU), "work").together(16, 65_536)
        for size in (4096, 1024, 512, 200)
    ]
    assert found[0] == 16
    assert found == sorted(found, reverse=True)
    assert found[-1] < found[0]


def test_on_a_gpu_its_own_memory_counts_and_what_torch_keeps_in_hand_is_free(monkeypatch):
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 3 * 10**9)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 10**9)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (8 * 10**9, 16 * 10**9))
    gpu = torch.device("cuda")
    budget = footprint.budget_on("auto", gpu)
    assert (budget.free, budget.held) == (10**10, 10**9)
    assert budget.room == pytest.approx(footprint.GPU_SHARE * 10**10)
    assert footprint.budget_on("4GB", gpu).room == 3 * 10**9
    assert "GPU" in budget.where
