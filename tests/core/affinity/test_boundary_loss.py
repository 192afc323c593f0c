"""The boundary loss against a loop over all pairs."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recam_cli.core.affinity.boundary_loss import boundary_loss
from recam_cli.core.affinity.label_pairs import EPSILON
from recam_cli.core.affinity.pairs import offsets, path


def slow_loss(scores, labels, radius):
    """Every pair of the published source region, one at a time; returns the three means' half sum."""
    height, width = scores.shape[1:]
    sums = {"background": [], "same": [], "different": []}
    for b in range(len(scores)):
        for y in range(height - radius + 1):
            for x in range(radius - 1, width - radius + 1):
                for o in offsets(radius):
                    one, other = int(labels[b, y, x]), int(labels[b, y + o.dy, x + o.dx])
                    if 255 in (one, other):
                        continue
                    highest = max(float(scores[b, y + s.dy, x + s.dx]) for s in path(o))
                    if one != other:
                        sums["different"].append(-math.log(highest + EPSILON))
                    else:
                        sums["same" if one else "background"].append(-math.log(1 - highest + EPSILON))
    means = {k: sum(v) / max(1, len(v)) for k, v in sums.items()}
    return (means["background"] / 2 + means["same"] / 2 + means["different"]) / 2, means


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10_000), st.sampled_from([2, 3, 4]))
def test_the_loss_is_that_of_a_loop_over_all_pairs(seed, radius):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 7, 9, generator=generator)
    labels = torch.tensor([0, 1, 2, 255])[torch.randint(0, 4, (2, 7, 9), generator=generator)]

    found = boundary_loss(logits, labels, radius=radius)

    wanted, means = slow_loss(torch.sigmoid(logits), labels, radius)
    assert float(found.total) == pytest.approx(wanted, rel=1e-4)
    for name, mean in means.items():
        assert float(getattr(found, name)) == pytest.approx(mean, rel=1e-4, abs=1e-6)


def test_the_gradient_is_the_slope_of_the_loss():
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(1, 6, 8, generator=generator).requires_grad_()
    labels = torch.tensor([0, 1, 255])[torch.randint(0, 3, (1, 6, 8), generator=generator)]
    boundary_loss(logits, labels, radius=3).total.backward()

    for y, x in ((0, 3), (2, 4), (5, 5)):
        with torch.no_grad():
            step = torch.zeros_like(logits)
            step[0, y, x] = 1e-2
            after, before = (boundary_loss(logits + s * step, labels, radius=3).total for s in (1, -1))
        assert float(logits.grad[0, y, x]) == pytest.approx(float(after - before) / 2e-2, abs=2e-3)


def test_undecided_cells_teach_nothing():
    labels = torch.full((1, 12, 12), 255)
    logits = torch.zeros(1, 12, 12, requires_grad=True)
    loss = boundary_loss(logits, labels, radius=4).total
    loss.backward()

    assert float(loss.detach()) == 0
    assert (logits.grad == 0).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 20), (20, 1), (3, 3), (9, 40)])
def test_grids_smaller_than_the_radius_take_the_pairs_that_fit(shape):
    loss = boundary_loss(torch.zeros(1, *shape), torch.zeros(1, *shape, dtype=torch.int64)).total
    assert math.isfinite(float(loss))
