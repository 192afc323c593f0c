"""What a joined seed promises: a weighted mean of two log odds, and at both ends one of them alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recam_cli.core.cams.store import Seed, label_of
from recam_cli.core.masks.self_training import JOINED_THRESHOLD, joined


def drawn(seed, classes=(0, 2), count=4, size=(20, 28)):
    rng = np.random.default_rng(seed)
    grid = size[0] // 4, size[1] // 4
    maps = rng.uniform(0.01, 0.99, (len(classes), *grid)).astype(np.float32)
    chances = rng.dirichlet(np.ones(count), grid).transpose(2, 0, 1).astype(np.float32)
    return Seed(np.array(classes, np.int64), maps, size), chances


def mask(seed, threshold):
    return label_of(seed.maps, seed.classes, threshold)


@given(st.integers(0, 1000), st.floats(0.05, 0.9))
def test_without_weight_the_mask_is_the_seeds_own(seed, threshold):
    own, chances = drawn(seed)
    assert np.array_equal(mask(joined(own, threshold, chances, 0.0), JOINED_THRESHOLD), mask(own, threshold))


@given(st.integers(0, 1000))
def test_with_all_weight_it_is_the_segmenters_among_the_labelled_classes(seed):
    own, chances = drawn(seed)
    allowed = np.full(len(chances), -np.inf, np.float32)
    allowed[[0, 1, 3]] = 0
    expected = (np.log(np.maximum(chances, 1e-4)) + allowed[:, None, None]).argmax(axis=0)
    assert np.array_equal(mask(joined(own, 0.3, chances, 1.0), JOINED_THRESHOLD), expected)


def test_scores_are_the_weighted_mean_of_log_odds():
    own = Seed(np.array([1]), np.array([[[0.8, 0.1]]], np.float32), (4, 8))
    chances = np.array([[[0.2, 0.5]], [[0.3, 0.0]], [[0.5, 0.5]]], np.float32)

    found = joined(own, 0.4, chances, 0.25).maps

    def logit(p):
        return np.log(p / (1 - p))

    odds = 0.75 * (logit(np.array([0.8, 0.1])) - logit(0.4)) + 0.25 * np.log(np.array([0.5 / 0.2, 1.0]))
    assert found[0, 0] == pytest.approx(1 / (1 + np.exp(-odds)), abs=1e-5)


def test_certainty_on_one_side_does_not_silence_the_other():
    own = Seed(np.array([0]), np.array([[[0.0]]], np.float32), (4, 4))
    sure = np.array([[[0.0]], [[1.0]]], np.float32)
    assert joined(own, 0.5, sure, 0.3).maps[0, 0, 0] < 0.5 < joined(own, 0.5, sure, 0.6).maps[0, 0, 0]


def test_a_photograph_without_a_label_stays_without_one():
    none = Seed(np.array([], np.int64), np.zeros((0, 2, 2), np.float32), (8, 8))
    assert joined(none, 0.5, np.full((3, 2, 2), 1 / 3, np.float32), 0.5) is none
