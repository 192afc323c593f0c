"""The affinity loss against a loop over all pairs."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recam_cli.core.affinity.affinity_loss import affinity_loss, pair_distances
from recam_cli.core.affinity.label_pairs import EPSILON
from recam_cli.core.affinity.pairs import offsets


def drawn(seed, shape=(2, 5, 7, 9), values=(0, 1, 2, 255)):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(shape, generator=generator)
    labels = torch.tensor(values)[torch.randint(0, len(values), (shape[0], *shape[2:]), generator=generator)]
    return features, labels


def slow_loss(features, labels, radius):
    """¼, ¼ and ½ of the means over every pair of the published source region, one at a time."""
    height, width = features.shape[2:]
    costs = {"background": [], "same": [], "different": []}
    for b in range(len(features)):
        for y in range(height - radius + 1):
            for x in range(radius - 1, width - radius + 1):
                for o in offsets(radius):
                    one, other = int(labels[b, y, x]), int(labels[b, y + o.dy, x + o.dx])
                    if 255 in (one, other):
                        continue
                    apart = features[b, :, y, x] - features[b, :, y + o.dy, x + o.dx]
                    affinity = math.exp(-float(apart.abs().mean()))
                    if one != other:
                        costs["different"].append(-math.log(1 + EPSILON - affinity))
                    else:
                        costs["same" if one else "background"].append(-math.log(affinity + EPSILON))
    means = {k: sum(v) / max(1, len(v)) for k, v in costs.items()}
    return means["background"] / 4 + means["same"] / 4 + means["different"] / 2, means


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10_000), st.sampled_from([2, 3, 4]))
def test_the_loss_is_that_of_a_loop_over_all_pairs(seed, radius):
    features, labels = drawn(seed)

    found = affinity_loss(features, labels, radius=radius)

    wanted, means = slow_loss(features, labels, radius)
    assert float(found.total) == pytest.approx(wanted, rel=1e-4)
    for name, mean in means.items():
        assert float(getattr(found, name)) == pytest.approx(mean, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("radius", [2, 3, 4])
def test_the_gradient_is_that_of_plain_differences(radius):
    features, labels = drawn(radius)
    features.requires_grad_()
    affinity_loss(features, labels, radius=radius).total.backward()
    found = features.grad.clone()
    features.grad = None

    height, width = features.shape[2:]
    plain = {"background": [], "same": [], "different": []}
    for o in offsets(radius):
        apart = pair_distances(features, o)
        # Of all pairs at this offset, those whose first cell has a neighbour at every offset.
        rows, left = height - radius + 1, radius - 1 - max(0, -o.dx)
        region = (slice(None), slice(0, rows), slice(left, left + width - 2 * (radius - 1)))
        one = labels[:, :rows, radius - 1 : width - radius + 1]
        other = labels[:, o.dy : o.dy + rows, radius - 1 + o.dx : width - radius + 1 + o.dx]
        known, affinity = (one != 255) & (other != 255), torch.exp(-apart[region])
        plain["background"].append(-torch.log(affinity + EPSILON)[known & (one == other) & (one == 0)])
        plain["same"].append(-torch.log(affinity + EPSILON)[known & (one == other) & (one > 0)])
        plain["different"].append(-torch.log(1 + EPSILON - affinity)[known & (one != other)])
    means = {name: torch.cat(costs).mean() for name, costs in plain.items()}
    (means["background"] / 4 + means["same"] / 4 + means["different"] / 2).backward()

    assert found.abs().max() > 0
    assert torch.allclose(found, features.grad, atol=1e-6)


def test_distances_are_those_of_every_pair():
    features, _ = drawn(1, shape=(1, 4, 5, 6))
    for o in offsets(4):
        found = pair_distances(features, o)
        assert tuple(found.shape) == (1, 5 - o.dy, 6 - abs(o.dx))
        for y in range(5 - o.dy):
            for x in range(6 - abs(o.dx)):
                left = x + max(0, -o.dx)
                apart = features[0, :, y, left] - features[0, :, y + o.dy, left + o.dx]
                assert float(found[0, y, x]) == pytest.approx(float(apart.abs().mean()), rel=1e-5)


def test_undecided_cells_teach_nothing():
    features, _ = drawn(0)
    features.requires_grad_()
    loss = affinity_loss(features, torch.full((2, 7, 9), 255), radius=3).total
    loss.backward()

    assert float(loss.detach()) == 0
    assert (features.grad == 0).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 20), (20, 1), (3, 3), (9, 40)])
def test_grids_smaller_than_the_radius_take_the_pairs_that_fit(shape):
    loss = affinity_loss(torch.zeros(1, 2, *shape), torch.zeros(1, *shape, dtype=torch.int64)).total
    assert math.isfinite(float(loss))
