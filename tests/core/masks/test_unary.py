from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from recam_cli.core.cams.store import label_of
from recam_cli.core.errors import UsageError
from recam_cli.core.masks.unary import hard_unary, probabilities, seed_scores, soft_unary

unit = st.floats(0, 1, width=32)
score_maps = hnp.arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 5)), elements=unit)


def test_hard_energies_are_the_published_ones():
    labels = np.array([[0, 2], [1, 0]])

    energies = hard_unary(labels, 3)

    assert energies.dtype == np.float32
    assert energies.shape == (3, 2, 2)
    for label in range(3):
        expected = np.where(labels == label, -np.log(0.7), -np.log(0.3 / 2))
        assert np.allclose(energies[label], expected)


def test_hard_energies_equal_the_librarys_own():
    utils = pytest.importorskip("pydensecrf.utils")
    labels = np.random.default_rng(0).integers(0, 4, (6, 5))

    theirs = utils.unary_from_labels(labels, 4, gt_prob=0.7, zero_unsure=False)

    assert np.array_equal(hard_unary(labels, 4).reshape(4, -1), theirs)


@given(
    labels=hnp.arrays(np.int64, (3, 4), elements=st.integers(0, 3)),
    certainty=st.floats(0.3, 0.99),
)
def test_hard_energies_are_those_of_a_distribution(labels, certainty):
    believed = np.exp(-hard_unary(labels, 4, certainty=certainty).astype(np.float64))

    assert np.allclose(believed.sum(axis=0), 1, atol=1e-5)
    assert (believed.argmax(axis=0) == labels).all()


def test_a_single_hard_label_costs_nothing():
    assert (hard_unary(np.zeros((2, 3), np.int64), 1) == np.zeros((1, 2, 3))).all()


@pytest.mark.parametrize("certainty", [0.0, 1.0, float("nan")])
def test_certainty_out_of_range_is_refused(certainty):
    with pytest.raises(UsageError, match="certainty"):
        hard_unary(np.zeros((1, 1), np.int64), 2, certainty=certainty)


@pytest.mark.parametrize("label", [-1, 2, 255])
def test_labels_out_of_range_are_refused(label):
    with pytest.raises(UsageError, match="do not fit 2 labels"):
        hard_unary(np.full((1, 1), label), 2)


@given(score_maps)
def test_soft_energies_are_finite_and_ordered_against_the_probabilities(values):
    energies = soft_unary(values)

    assert energies.dtype == np.float32
    assert np.isfinite(energies).all()
    assert (energies >= 0).all()
    assert (energies <= 11.6).all()
    assert np.allclose(np.exp(-energies), np.maximum(values, 1e-5), atol=1e-6)


@given(maps=score_maps, threshold=unit)
def test_the_best_score_is_the_seeds_label(maps, threshold):
    classes = np.arange(len(maps)) * 3

    scores = seed_scores(maps, threshold)

    assert scores.shape == (len(maps) + 1, *maps.shape[1:])
    values = np.array([0, *(classes + 1)], dtype=np.uint8)
    assert (values[scores.argmax(axis=0)] == label_of(maps, classes, threshold)).all()


def test_a_seed_without_classes_has_a_background_only():
    assert (seed_scores(np.zeros((0, 2, 3), np.float32), 0.25) == np.full((1, 2, 3), 0.25)).all()


@given(maps=score_maps, threshold=unit, scaling=st.sampled_from(["softmax", "share"]))
def test_soft_probabilities_are_distributions_that_keep_the_order(maps, threshold, scaling):
    scores = seed_scores(maps, threshold)

    found = probabilities(scores, scaling)

    assert found.dtype == np.float32
    assert np.allclose(found.sum(axis=0), 1, atol=1e-5)
    best = np.take_along_axis(found, scores.argmax(axis=0)[None], axis=0)[0]
    assert (best >= found.max(axis=0) - 1e-6).all()


def test_softmax_depends_on_differences_and_share_on_ratios():
    scores = np.array([0.2, 0.4], np.float32).reshape(2, 1, 1)

    soft = probabilities(scores, "softmax", temperature=0.1)
    share = probabilities(scores, "share")

    assert soft[1, 0, 0] / soft[0, 0, 0] == pytest.approx(np.exp(2), rel=1e-5)
    assert share[1, 0, 0] / share[0, 0, 0] == pytest.approx(2, rel=1e-5)


def test_a_cold_softmax_is_nearly_hard_and_does_not_overflow():
    scores = np.array([0.2, 0.4], np.float32).reshape(2, 1, 1)

    assert np.allclose(probabilities(scores, temperature=1e-4).ravel(), [0, 1])


def test_share_of_nothing_is_even():
    assert (probabilities(np.zeros((4, 1, 2), np.float32), "share") == 0.25).all()


def test_unknown_scaling_and_bad_temperature_are_refused():
    with pytest.raises(UsageError, match="temperature"):
        probabilities(np.zeros((2, 1, 1)), temperature=0)
    with pytest.raises(UsageError, match="softmax, share"):
        probabilities(np.zeros((2, 1, 1)), "linear")  # type: ignore[arg-type]
