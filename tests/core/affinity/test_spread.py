from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recam_cli.core.affinity.affinity_loss import pair_distances
from recam_cli.core.affinity.pairs import offsets
from recam_cli.core.affinity.spread import Walk, boundary_walk, labelled_start, spread_seeds
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
    with pytest.raises(UsageError, match=r"1 seeds of .* do not fit a walk of 2 images"):
        spread_seeds([seed], boundary_walk(edges.repeat(2, 1, 1)))
    other = Seed(seed.classes, seed.maps[:, :5], (20, 80))
    with pytest.raises(UsageError, match=r"2 seeds of grids .* do not fit"):
        spread_seeds([seed, other], boundary_walk(edges.repeat(2, 1, 1)))


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
@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(1, 5), st.integers(1, 3))
def test_above_one_half_exactly_where_a_class_wins_the_argmax_over_all_walked_maps(seed, rows, columns, classes):
    height, width = 2 * rows, 2 * columns
    maps = np.random.default_rng(seed).random((classes, height, width), dtype=np.float32) ** 3
    walk = features_walk(rows, columns, seed=seed)

    found = spread_seeds([Seed(np.arange(classes), maps, (4 * height, 4 * width))], walk, alpha=4, steps=3)[0]

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


def test_a_walk_on_a_finer_grid_gives_seeds_on_their_own():
    edges, seed = box_and_seed()
    fine = edges.repeat_interleave(2, 1).repeat_interleave(2, 2)

    walked = spread_seeds([seed], boundary_walk(fine), floor=0.4, steps=1024)[0]

    assert walked.maps.shape == seed.maps.shape
    assert walked.maps[0, 5:11, 6:14].min() > 0.9
    assert walked.maps[0, :2].max() < 1e-3


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(1, 4), st.integers(0, 3))
def test_decided_cells_send_out_their_label_and_undecided_ones_their_scores(seed, rows, columns, count):
    generator = np.random.default_rng(seed)
    ids = np.sort(generator.choice(9, count, replace=False))
    scores = generator.random((1, max(1, count), rows, columns), dtype=np.float32)
    scores[:, count:] = 0
    label = generator.choice(np.array([0, 255, *(ids + 1)]), (4 * rows, 4 * columns)).astype(np.uint8)

    start = labelled_start(torch.from_numpy(scores), [label], [ids])[0].numpy()

    for y in range(rows):
        for x in range(columns):
            cell, here = label[4 * y : 4 * y + 4, 4 * x : 4 * x + 4], scores[0, :, y, x]
            undecided = (cell == 255).mean()
            assert start[0, y, x] == pytest.approx((cell == 0).mean() + undecided * (1 - here.max()), abs=1e-5)
            for n, k in enumerate(ids):
                assert start[n + 1, y, x] == pytest.approx((cell == k + 1).mean() + undecided * here[n], abs=1e-5)
    assert not start[count + 1 :].any()


def test_what_leaks_into_known_background_is_outvoted_there():
    """Object and background without a boundary in between."""
    maps = np.zeros((1, 6, 12), np.float32)
    maps[0, :, :4] = 1
    seed, open_walk = Seed(np.array([4]), maps, (24, 48)), boundary_walk(torch.full((1, 6, 12), 0.05))
    label = np.full((24, 48), 255, np.uint8)
    label[:, :12], label[:, 24:] = 5, 0

    alone = spread_seeds([seed], open_walk, steps=64)[0].maps[0]
    labelled = spread_seeds([seed], open_walk, labels=[label], steps=64)[0].maps[0]

    assert alone[:, 8].min() > 0.5
    assert labelled[:, 8].max() < 0.5


def test_without_any_decided_pixel_labels_are_the_plain_background_beside_the_seeds():
    edges, seed = box_and_seed()
    undecided = np.full(seed.size, 255, np.uint8)

    found = spread_seeds([seed], boundary_walk(edges), labels=[undecided], steps=16)[0]

    assert np.allclose(found.maps, spread_seeds([seed], boundary_walk(edges), alpha=1, steps=16)[0].maps, atol=1e-5)
