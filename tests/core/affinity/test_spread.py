from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recam_cli.core.affinity.affinity_loss import pair_distances
from recam_cli.core.affinity.pairs import offsets
from recam_cli.core.affinity.spread import Walk, boundary_walk, spread_seeds
from recam_cli.core.affinity.walk import Transition
from recam_cli.core.cams.store import Seed
from recam_cli.core.errors import UsageError


def box_and_seed():
    """A closed box of boundaries, and a seed at one place in it on a background of 0.4."""
    edges = torch.zeros(1, 16, 20)
    edges[:, [3, 12], 4:16] = 1
    edges[:, 3:13, [4, 15]] = 1
    maps = np.full((1, 16, 20), 0.4, np.float32)
    maps[0, 6:9, 7:10] = 1
    return edges, Seed(np.array([2]), maps, (64, 80))


def test_a_seed_fills_what_its_boundaries_enclose_once_the_background_is_taken_off():
    edges, seed = box_and_seed()

    walked = spread_seeds([seed], boundary_walk(edges), floor=0.4)[0]

    inside = walked.maps[0, 4:12, 5:15]
    assert inside.min() > 0.9
    outside = walked.maps[0].copy()
    outside[3:13, 4:16] = 0
    assert outside.max() < 1e-3
    assert walked.size == seed.size
    assert walked.classes.tolist() == [2]


def test_with_the_background_left_on_it_walks_too():
    edges, seed = box_and_seed()
    assert spread_seeds([seed], boundary_walk(edges))[0].maps[0, 0, 0] > 0.5


def test_images_with_different_numbers_of_classes_walk_together_as_alone():
    generator = np.random.default_rng(0)
    seeds = [Seed(np.arange(n), generator.random((n, 8, 9), dtype=np.float32), (32, 36)) for n in (1, 3, 0, 2)]
    edges = torch.rand(4, 8, 9, generator=torch.Generator().manual_seed(0))

    together = spread_seeds(seeds, boundary_walk(edges), floor=0.2)

    for i, seed in enumerate(seeds):
        alone = spread_seeds([seed], boundary_walk(edges[i : i + 1]), floor=0.2)[0]
        assert together[i].maps.shape == seed.maps.shape
        assert np.allclose(together[i].maps, alone.maps, atol=1e-6)


def test_values_that_do_not_fit_are_refused():
    edges, seed = box_and_seed()
    for walk in (boundary_walk(edges[:, :5]), boundary_walk(edges.repeat(2, 1, 1))):
        with pytest.raises(UsageError, match="do not fit a walk"):
            spread_seeds([seed], walk)


def features_walk(height, width, channels=3, seed=0):
    """A walk over random affinities."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(1, channels, height, width, generator=generator)
    of = offsets(3)
    return Walk(Transition.of_affinities([torch.exp(-pair_distances(features, o)) for o in of], of, height, width))


def dense(walk):
    """The walk's one step as a matrix, column by column."""
    cells = walk.transition.height * walk.transition.width
    units = torch.eye(cells).view(1, cells, walk.transition.height, walk.transition.width)
    return walk.transition.step(units).view(cells, cells)


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 10_000), st.integers(2, 11), st.integers(2, 11), st.integers(1, 3))
def test_above_one_half_exactly_where_a_class_wins_the_argmax_over_all_walked_maps(seed, height, width, classes):
    maps = np.random.default_rng(seed).random((classes, height, width), dtype=np.float32) ** 3
    walk = features_walk(-(-height // 2), -(-width // 2), seed=seed)

    found = spread_seeds([Seed(np.arange(classes), maps, (4 * height, 4 * width))], walk, alpha=4, steps=3)[0]

    rows, columns = walk.transition.height, walk.transition.width
    planes = torch.from_numpy(np.concatenate([(1 - maps.max(0, keepdims=True)) ** 4, maps]))
    pooled = torch.stack(
        [
            torch.stack([planes[:, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2].mean(dim=(1, 2)) for x in range(columns)], 1)
            for y in range(rows)
        ],
        1,
    )
    step = dense(walk)
    walked = (pooled.flatten(1) @ step @ step @ step).view(1, -1, rows, columns)
    fine = torch.nn.functional.interpolate(walked, scale_factor=2, mode="bilinear")[0, :, :height, :width].numpy()
    lead = np.sort(fine, axis=0)
    sure = lead[-1] - lead[-2] > 1e-4
    wanted = fine.argmax(axis=0)
    cut = np.where(found.maps.max(axis=0) > 0.5, found.maps.argmax(axis=0) + 1, 0)
    assert np.array_equal(cut[sure], wanted[sure])
    assert found.maps.min() >= 0
    assert found.maps.max() <= 1


def test_without_steps_the_background_wins_where_its_score_is_higher():
    maps = np.repeat(np.linspace(0, 1, 20, dtype=np.float32)[None, None], 4, axis=1)
    seed = Seed(np.array([0]), maps, (16, 80))
    walk = Walk(Transition.within(torch.zeros(1, 4, 20)))

    for alpha in (2.0, 16.0):
        found = spread_seeds([seed], walk, alpha=alpha, steps=0)[0]
        assert np.array_equal(found.maps > 0.5, maps > (1 - maps) ** alpha)


def test_what_is_taken_off_before_lets_the_background_win_on_high_maps():
    maps = np.full((1, 4, 4), 0.5, np.float32)
    maps[0, :, :2] = 0.9
    seed, walk = Seed(np.array([0]), maps, (16, 16)), Walk(Transition.within(torch.zeros(1, 4, 4)))
    assert (spread_seeds([seed], walk, alpha=16, steps=0)[0].maps > 0.5).all()
    found = spread_seeds([seed], walk, alpha=16, steps=0, floor=0.45)[0].maps[0] > 0.5
    assert np.array_equal(found, maps[0] > 0.6)


def test_images_with_different_numbers_of_classes_walk_beside_their_background_as_alone():
    generator = np.random.default_rng(0)
    seeds = [Seed(np.arange(n), generator.random((n, 7, 9), dtype=np.float32), (28, 36)) for n in (1, 0, 2)]
    edges = torch.rand(3, 4, 5, generator=torch.Generator().manual_seed(0))

    together = spread_seeds(seeds, Walk(Transition.within(edges)), alpha=4)

    for i, seed in enumerate(seeds):
        alone = spread_seeds([seed], Walk(Transition.within(edges[i : i + 1])), alpha=4)[0]
        assert together[i].maps.shape == seed.maps.shape
        assert np.allclose(together[i].maps, alone.maps, atol=1e-5)
