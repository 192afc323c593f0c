"""The label-free threshold separates two modes wherever they lie, in one pass."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recam_cli.core.cams.store import Seed
from recam_cli.core.errors import DataError
from recam_cli.core.masks.threshold import BINS, choose_threshold, keep_share, otsu, score_statistics, share_above


def _seed(low, high, share=0.4, start=0, classes=1, noise=0.02):
    rng = np.random.default_rng(start)
    maps = np.where(rng.random((classes, 20, 24)) < share, high, low) + rng.normal(0, noise, (classes, 20, 24))
    return Seed(np.arange(classes, dtype=np.int64), np.clip(maps, 0, 1).astype(np.float32), (80, 96))


@settings(deadline=None, max_examples=40)
@given(st.floats(0.05, 0.6), st.floats(0.2, 0.35), st.floats(0.15, 0.85))
def test_it_falls_between_the_modes_wherever_they_lie(low, gap, share):
    choice = choose_threshold(_seed(low, low + gap, share, start) for start in range(4))
    assert low < choice.value < low + gap
    assert "without ground truth" in choice.how


def test_every_image_weighs_the_same_and_empty_ones_do_not_count():
    small = Seed(np.array([0]), np.full((1, 1, 1), 0.2, np.float32), (4, 4))
    large = Seed(np.array([0]), np.full((1, 9, 9), 0.6, np.float32), (36, 36))
    empty = Seed(np.zeros(0, np.int64), np.zeros((0, 5, 5), np.float32), (20, 20))
    choice = choose_threshold([small, empty, large])
    assert choice.value == pytest.approx(0.4, abs=1e-3)
    assert choice.images == 2


def test_of_several_classes_the_largest_score_counts():
    maps = np.stack([np.full((3, 3), 0.1), np.full((3, 3), 0.7)]).astype(np.float32)
    assert choose_threshold([Seed(np.array([1, 4]), maps, (12, 12))]).value == pytest.approx(0.7, abs=2e-3)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_constant_maps_still_give_a_threshold_inside_the_interval(value):
    seed = Seed(np.array([0]), np.full((1, 4, 4), value, np.float32), (16, 16))
    assert 0 < choose_threshold([seed]).value < 1


def test_without_any_class_it_says_so():
    with pytest.raises(DataError, match="no image"):
        choose_threshold([])


def test_small_objects_before_a_large_background_are_not_drowned():
    choice = choose_threshold(_seed(0.1, 0.8, share=0.06, start=start, noise=0.04) for start in range(4))
    assert 0.25 < choice.value < 0.7
    assert "Otsu" in choice.how


def test_otsu_equals_the_brute_force_over_all_cuts():
    histogram = score_statistics([_seed(0.2, 0.6, start=3, noise=0.1)]).histogram
    centres = (np.arange(BINS) + 0.5) / BINS
    spread = []
    for cut in range(1, BINS):
        a, b = histogram[:cut], histogram[cut:]
        parted = a.sum() > 0 and b.sum() > 0
        difference = np.average(centres[:cut], weights=a) - np.average(centres[cut:], weights=b) if parted else 0.0
        spread.append(a.sum() * b.sum() * difference**2)
    chosen = spread[round(otsu(histogram) * BINS) - 1]
    assert chosen == pytest.approx(max(spread), rel=1e-6)  # where no score lies between the modes, many cuts are best


@given(st.integers(0, 1000), st.floats(0.3, 0.95))
@settings(deadline=None, max_examples=20)
def test_the_share_kept_is_the_share_above_the_threshold_chosen(number, threshold):
    rng = np.random.default_rng(number)
    before = [Seed(np.array([0]), rng.random((1, 20, 30), dtype=np.float32), (80, 120)) for _ in range(3)]
    after = [replace(seed, maps=seed.maps**3) for seed in before]

    share = share_above(before, threshold)
    choice = keep_share(after, share)

    assert share_above(after, choice.value) == pytest.approx(share, abs=0.02)
    assert choice.value == pytest.approx(threshold**3, abs=0.05)


def test_images_without_classes_neither_have_nor_change_a_share():
    empty = Seed(np.zeros(0, np.int64), np.zeros((0, 4, 4), np.float32), (16, 16))
    full = Seed(np.array([0]), np.ones((1, 4, 4), np.float32), (16, 16))
    assert share_above([empty, full], 0.5) == 1
    assert share_above([empty], 0.5) == 0
    with pytest.raises(DataError, match="no image of the split has a labelled class"):
        keep_share([empty], 0.3)
