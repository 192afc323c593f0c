"""Average precision against its definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recam_cli.core.errors import TrainingError
from recam_cli.core.metrics.classification import (
    average_precision,
    average_precisions,
    mean_average_precision,
)
from tests.helpers.scoring import slow_average_precision

ROWS = st.lists(
    st.tuples(st.one_of(st.sampled_from([0.0, 0.5, 1.0]), st.floats(-10, 10)), st.integers(0, 1)),
    min_size=1,
    max_size=30,
)


@given(ROWS)
def test_it_equals_the_definition_with_ties(rows):
    scores, targets = (list(column) for column in zip(*rows, strict=True))
    expected = slow_average_precision(scores, targets)
    found = average_precision(np.array(scores), np.array(targets))
    assert found == (None if expected is None else pytest.approx(expected))


@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_the_images_does_not_matter(rows, random):
    shuffled = list(rows)
    random.shuffle(shuffled)
    first, second = (average_precision(*np.array(r).T) for r in (rows, shuffled))
    assert first == second


def test_known_values():
    # the four scores and targets of the textbook example: 1 · 1/2 + 2/3 · 1/2
    assert average_precision(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1])) == pytest.approx(5 / 6)
    assert average_precision(np.array([0.5, 0.5, 0.5, 0.5]), np.array([1, 0, 0, 0])) == 0.25
    assert average_precision(np.array([1.0, 2.0]), np.array([0, 0])) is None


def test_the_mean_leaves_out_classes_without_images():
    scores = np.array([[0.9, 0.1, 0.3], [0.8, 0.7, 0.2]], dtype=np.float32)
    targets = np.array([[1, 0, 0], [0, 0, 1]], dtype=np.float32)
    assert average_precisions(scores, targets) == (1.0, None, 0.5)
    assert mean_average_precision(scores, targets) == 0.75
    assert mean_average_precision(scores, np.zeros_like(targets)) is None


def test_scores_without_an_order_are_refused():
    with pytest.raises(TrainingError, match="NaN"):
        average_precision(np.array([0.1, np.nan]), np.array([0, 1]))


def test_tables_of_different_shape_are_refused():
    with pytest.raises(ValueError, match="equal"):
        average_precisions(np.zeros((2, 3)), np.zeros((3, 2)))
    with pytest.raises(ValueError, match="equally long"):
        average_precision(np.zeros(2), np.zeros(3))
