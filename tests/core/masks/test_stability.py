"""Stability of masks: by hand, on a disc whose answer is known, and as a search of a peak."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recam_cli.core.cams.store import STRIDE, Seed, write_seed
from recam_cli.core.data.images import write_image
from recam_cli.core.data.samples import Sample
from recam_cli.core.masks.refine import SeedRefiner
from recam_cli.core.masks.stability import (
    HOW,
    SAMPLE,
    THRESHOLDS,
    _alike,
    most_stable,
    neighbour_ious,
    spread_sample,
)
from recam_cli.core.masks.stability_job import HeldSeed, StabilityJob, compare_held

SIZE = (192, 256)


@cache
def disc():
    """Return a photograph of a bright disc on dark ground, the disc, and a seed that is the disc blurred."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    inside = (rows - 96) ** 2 + (columns - 120) ** 2 < 50**2
    noise = np.random.default_rng(0).normal(0, 6, (*SIZE, 3))
    image = np.clip(np.where(inside[..., None], 210, 45) + noise, 0, 255).astype(np.uint8)
    blurred = cv2.GaussianBlur(inside.astype(np.float32), (0, 0), 14)
    maps = cv2.resize(blurred, (SIZE[1] // STRIDE, SIZE[0] // STRIDE), interpolation=cv2.INTER_AREA)
    return image, inside, Seed(np.array([2]), maps[None] / maps.max(), SIZE)


@cache
def ious():
    image, _, seed = disc()
    return neighbour_ious(image, seed)


def test_the_chosen_threshold_cuts_the_disc_out():
    image, inside, seed = disc()
    found = most_stable([ious()])
    mask = SeedRefiner(image, seed, HOW).mask(found.threshold)
    assert set(np.unique(mask)) == {0, 3}
    assert ((mask > 0) & inside).sum() / ((mask > 0) | inside).sum() > 0.9
    assert found.value > 0.9


def test_neighbours_are_compared_as_by_hand():
    image, _, seed = disc()
    masks = [SeedRefiner(image, seed, HOW).mask(threshold) for threshold in THRESHOLDS]
    found = ious()
    assert found.shape == (len(THRESHOLDS) - 1, 2)
    for step, (a, b) in enumerate(pairwise(masks)):
        both, either = np.sum((a == 3) & (b == 3)), np.sum((a == 3) | (b == 3))
        none, not_both = np.sum((a == 0) & (b == 0)), np.sum((a == 0) | (b == 0))
        np.testing.assert_allclose(found[step], [both / either, none / not_both])


MASKS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=24)


@given(MASKS)
def test_objects_are_alike_where_the_classes_agree(pixels):
    here, there = (np.array([column], np.uint8) for column in zip(*pixels, strict=True))
    shown = [(a, b) for a, b in pixels if a or b]
    bare = [(a, b) for a, b in pixels if not a or not b]
    objects = sum(a == b for a, b in shown) / len(shown) if shown else 0
    background = sum(not a and not b for a, b in bare) / len(bare) if bare else 0
    assert _alike(here, there) == pytest.approx((objects, background))
    assert _alike(there, here) == _alike(here, there)


STEPS = len(THRESHOLDS) - 1
CURVES = st.lists(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=STEPS, max_size=STEPS), min_size=1, max_size=5
)


@given(CURVES)
def test_the_curve_is_a_share_and_the_threshold_within_half_a_step_of_its_peak(curves):
    found = most_stable([np.array(one) for one in curves])
    assert len(found.curve) == len(THRESHOLDS) - 1 and found.images == len(curves)
    assert all(-1e-9 <= value <= 1 + 1e-9 for value in (*found.curve, found.value))
    middles = (np.array(THRESHOLDS[:-1]) + np.array(THRESHOLDS[1:])) / 2
    peaks = np.flatnonzero(np.array(found.curve) >= max(found.curve) - 1e-4)
    assert np.abs(middles[peaks] - found.threshold).min() <= 0.025 + 1e-4


def test_a_parabola_between_the_steps_is_found_again():
    thresholds = np.arange(0.1, 0.7, 0.05)
    middles = (thresholds[:-1] + thresholds[1:]) / 2
    curve = 1 - 4 * (middles - 0.41) ** 2
    found = most_stable([np.stack([curve, np.ones(11)], axis=1)], thresholds)
    assert found.threshold == pytest.approx(0.41, abs=1e-3)


def test_the_smaller_of_objects_and_background_counts():
    high, low = np.full(11, 0.9), np.linspace(0.8, 0.3, 11)
    a, b = (most_stable([np.stack(pair, axis=1)]) for pair in ((high, low), (low, high)))
    assert a == b
    assert a.threshold < 0.15 and a.value < 0.81


@given(CURVES)
def test_photographs_weigh_the_same_and_their_order_does_not_matter(curves):
    ious = [np.array(one) for one in curves]
    found = most_stable(ious)
    np.testing.assert_allclose(most_stable(ious[::-1]).curve, found.curve, atol=2e-4)
    np.testing.assert_allclose(most_stable(ious * 3).curve, found.curve, atol=2e-4)
    np.testing.assert_allclose(most_stable([np.mean(ious, axis=0)]).curve, found.curve, atol=2e-4)


@given(st.integers(0, 500), st.integers(1, 80))
def test_a_sample_is_even_sorted_unique_and_never_larger_than_asked(count, most):
    places = spread_sample(count, most)
    assert len(places) == min(count, most)
    assert places == sorted(set(places))
    assert all(0 <= place < count for place in places)
    if len(places) > 1:
        steps = np.diff([*places, count])
        assert steps.max() - steps.min() <= 1


def test_a_sample_of_many_has_the_stated_size():
    assert len(spread_sample(10_000)) == SAMPLE
    assert spread_sample(3) == [0, 1, 2]


def test_seeds_on_disk_and_in_memory_are_compared_alike(tmp_path):
    image, _, seed = disc()
    sample = Sample("one", tmp_path / "one.png", (2,))
    write_image(sample.image, image)
    write_seed(tmp_path / "one.npz", seed)
    held = compare_held(HeldSeed(sample, seed), max_pixels=10**6)
    np.testing.assert_array_equal(held, ious())
    np.testing.assert_allclose(
        StabilityJob(tmp_path, 10**6)(sample), held, atol=0.02
    )  # maps are kept in half precision
