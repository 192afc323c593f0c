"""Whether a class was learned: certain where scores are perfect, denied where they are chance, open where few."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recam_cli.core.metrics.classification import average_precision, mean_average_precision
from recam_cli.core.metrics.learned import FEWEST, _precisions, judge, standard_error


def half(n):
    return np.repeat([[1.0], [0.0]], n, axis=0)


def test_perfect_scores_of_forty_photographs_are_learned():
    found = judge(half(20), half(20), ["cat"])["cat"]
    assert (found.verdict, found.photographs, found.without) == ("learned", 20, 20)
    assert found.ap == found.low == found.high == 100
    assert 50 < found.chance < 80
    assert found.as_dict()["verdict"] == "learned"


@pytest.mark.parametrize("seed", range(5))
def test_random_scores_are_not_learned(seed):
    scores = np.random.default_rng(seed).random((40, 1))
    found = judge(scores, half(20), ["cat"])["cat"]
    assert found.verdict == "not learned"
    assert found.low <= found.ap <= found.high


def test_inverted_scores_are_not_learned():
    assert judge(1 - half(20), half(20), ["cat"])["cat"].verdict == "not learned"


@pytest.mark.parametrize(("shown", "without"), [(4, 20), (20, 4), (2, 2), (20, 0)])
def test_of_four_photographs_nothing_is_said(shown, without):
    targets = np.array([[1.0]] * shown + [[0.0]] * without)
    found = judge(targets, targets, ["cat"])["cat"]
    assert found.verdict == "too few"
    assert FEWEST == 5


def test_a_class_of_no_photograph_has_no_figures():
    found = judge(np.zeros((6, 1)), np.zeros((6, 1)), ["cat"])["cat"]
    assert (found.ap, found.low, found.high, found.chance, found.verdict) == (None, None, None, None, "too few")


def test_each_class_is_judged_by_its_own_column():
    rng = np.random.default_rng(0)
    targets = np.concatenate([half(20), half(20)], axis=1)
    found = judge(np.concatenate([half(20), rng.random((40, 1))], axis=1), targets, ["a", "b"])
    assert {name: one.verdict for name, one in found.items()} == {"a": "learned", "b": "not learned"}
    assert found == judge(np.concatenate([half(20), np.random.default_rng(0).random((40, 1))], axis=1), targets, "ab")


def test_equal_scores_say_nothing_whatever_the_order_of_the_photographs():
    found = judge(np.zeros((40, 1)), half(20), ["cat"])["cat"]
    assert (found.ap, found.verdict) == (50, "not learned")


@given(st.lists(st.tuples(st.integers(-1000, 1000), st.booleans()), min_size=1, max_size=30, unique_by=lambda r: r[0]))
def test_the_vectorised_precision_is_the_exact_one_where_scores_differ(rows):
    scores, positive = np.array([r[0] for r in rows], float), np.array([r[1] for r in rows])
    found = _precisions(np.stack([scores, -scores]), np.stack([positive, positive]))
    for value, row in zip(found, (scores, -scores), strict=True):
        assert value == pytest.approx(average_precision(row, positive) or 0.0)


def noisy(n, seed=0):
    rng = np.random.default_rng(seed)
    targets = (rng.random((n, 2)) < 0.4).astype(float)
    return targets + rng.normal(size=(n, 2)), targets


def test_the_standard_error_falls_with_more_photographs():
    errors = [standard_error(*noisy(n)) for n in (20, 200, 2000)]
    assert errors[0] > 2 * errors[1] > 4 * errors[2] > 0


def test_the_standard_error_is_that_of_means_over_sets_drawn_anew():
    scores, targets = noisy(60)
    rng = np.random.default_rng(9)
    drawn = (rng.integers(0, 60, 60) for _ in range(300))
    wanted = np.std([mean_average_precision(scores[d], targets[d]) for d in drawn])
    assert standard_error(scores, targets) == pytest.approx(wanted, rel=0.35)


def test_the_standard_error_of_nothing_is_none():
    assert standard_error(np.zeros((0, 2)), np.zeros((0, 2))) == 0
    assert standard_error(np.random.default_rng(0).random((9, 2)), np.zeros((9, 2))) == 0
    assert standard_error(half(20), half(20)) == 0


def test_draws_without_any_photograph_of_a_class_are_left_out_silently():
    targets = np.array([[1.0], [0.0], [0.0]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        error = standard_error(np.array([[0.1], [0.5], [0.0]]), targets)
        judge(np.array([[0.1], [0.5], [0.0]]), targets, ["cat"])
    assert 0 < error < 0.5
