"""The displacement loss against a loop over all pairs, and what it asks for."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recam_cli.core.affinity.displacement_loss import displacement_loss
from recam_cli.core.affinity.pairs import offsets


def slow_means(field, labels, radius):
    """Every pair of the published source region, one at a time: the means of one class, and of the background."""
    height, width = labels.shape[1:]
    same, background = [], []
    for b in range(len(labels)):
        for y in range(height - radius + 1):
            for x in range(radius - 1, width - radius + 1):
                for o in offsets(radius):
                    one, other = int(labels[b, y, x]), int(labels[b, y + o.dy, x + o.dx])
                    if one != other or one == 255:
                        continue
                    dy, dx = (field[b, :, y, x] - field[b, :, y + o.dy, x + o.dx]).tolist()
                    if one == 0:
                        background.append((abs(dy) + abs(dx)) / 2)
                    else:
                        same.append((abs(dy - o.dy) + abs(dx - o.dx)) / 2)
    return tuple(sum(v) / max(1, len(v)) for v in (same, background))


def drawn(seed, *, height=7, width=9, values=(0, 1, 2, 255)):
    generator = torch.Generator().manual_seed(seed)
    field = torch.randn(2, 2, height, width, generator=generator)
    return field, torch.tensor(values)[torch.randint(0, len(values), (2, height, width), generator=generator)]


def field_to(centre, height, width):
    """The field that points from every cell to `centre`."""
    rows, columns = torch.arange(height)[:, None].expand(-1, width), torch.arange(width).expand(height, -1)
    return torch.stack([centre[0] - rows, centre[1] - columns])[None].float()


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10_000), st.sampled_from([2, 3, 4]))
def test_the_loss_is_that_of_a_loop_over_all_pairs(seed, radius):
    field, labels = drawn(seed)
    found = displacement_loss(field, labels, radius=radius)
    same, background = slow_means(field, labels, radius)
    assert float(found["displacement_same"]) == pytest.approx(same, rel=1e-4, abs=1e-6)
    assert float(found["displacement_background"]) == pytest.approx(background, rel=1e-4, abs=1e-6)
    assert float(found["displacement"]) == pytest.approx((same + background) / 2, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("part", ["displacement", "displacement_same", "displacement_background"])
def test_the_gradient_is_the_slope_of_the_loss(part):
    field, labels = drawn(3, height=6, width=8, values=(0, 1, 255))
    field = field.requires_grad_()
    displacement_loss(field, labels, radius=3)[part].backward()

    for place in ((0, 0, 0, 3), (1, 1, 2, 4), (0, 1, 5, 5), (1, 0, 3, 2)):
        with torch.no_grad():
            step = torch.zeros_like(field)
            step[place] = 1e-3
            after, before = (displacement_loss(field + s * step, labels, radius=3)[part] for s in (1, -1))
        assert float(field.grad[place]) == pytest.approx(float(after - before) / 2e-3, abs=1e-3)


def test_a_field_that_points_at_the_objects_centre_costs_nothing_and_the_opposite_one_does():
    labels = torch.ones(1, 10, 12, dtype=torch.int64)
    field = field_to((4.5, 7.0), 10, 12)
    assert float(displacement_loss(field, labels, radius=4)["displacement"]) == pytest.approx(0, abs=1e-6)
    assert float(displacement_loss(-field, labels, radius=4)["displacement_same"]) > 1


def test_a_field_of_one_value_costs_nothing_on_the_background():
    labels = torch.zeros(1, 10, 12, dtype=torch.int64)
    assert float(displacement_loss(torch.full((1, 2, 10, 12), 3.0), labels, radius=4)["displacement"]) == 0


def test_pairs_of_different_or_undecided_labels_teach_nothing():
    undecided = torch.rand(1, 3, 12, generator=torch.Generator().manual_seed(1)) < 0.3
    labels = torch.where(undecided, 255, torch.arange(36).view(1, 3, 12) + 1)  # no two alike
    field = torch.randn(1, 2, 3, 12, generator=torch.Generator().manual_seed(0)).requires_grad_()
    loss = displacement_loss(field, labels, radius=3)["displacement"]
    loss.backward()
    assert float(loss.detach()) == 0
    assert (field.grad == 0).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 20), (20, 1), (3, 3), (9, 40)])
def test_grids_smaller_than_the_radius_take_the_pairs_that_fit(shape):
    field = torch.zeros(1, 2, *shape, requires_grad=True)
    loss = displacement_loss(field, torch.ones(1, *shape, dtype=torch.int64))["displacement"]
    loss.backward()
    assert math.isfinite(float(loss.detach()))
    assert torch.isfinite(field.grad).all()
