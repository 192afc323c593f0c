"""The probe: one answer to a convex problem, whatever the order, the chunks and the scale of the features."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from recam_cli.core.errors import TrainingError
from recam_cli.core.training import probe
from recam_cli.core.training.probe import Views, choose_ridge, fit_reactivated, fit_rows, fold_of, held_out_loss


def made(n=24, views=1, channels=6, classes=3, *, exclusive=True, seed=0):
    """Draw positive features of which channel k is higher where class k is shown."""
    rng = np.random.default_rng(seed)
    targets = np.eye(classes, dtype=np.float32)[np.arange(n) % classes]
    if not exclusive:
        targets[::4, 0] = 1
        targets[1] = 0
    features = np.abs(rng.normal(size=(n, views, channels))).astype(np.float32)
    features[:, :, :classes] += targets[:, None]
    return Views(features, targets)


def slope(rows, features, targets, weights, ridge, *, exclusive):
    """Return the largest slope of the whole objective in the rows of scaled features: float64, at once, by autograd."""
    x = torch.from_numpy(features).double()
    deviation = torch.maximum(x.std(dim=0, correction=0), 0.1 * x.mean(dim=0).abs()).clamp(min=1e-6)
    free = (rows.double() * deviation).requires_grad_()
    logits, wanted = (x / deviation) @ free.t(), torch.from_numpy(targets).double()
    if exclusive:
        each = F.cross_entropy(logits, wanted, reduction="none")
    else:
        each = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none").mean(dim=1)
    ((each * torch.from_numpy(weights)).sum() + ridge / 2 * free.square().sum()).backward()
    return float(free.grad.abs().max())


def slope_of_views(rows, views, ridge):
    flat = views.features.reshape(-1, views.features.shape[2])
    weights = np.full(len(flat), 1 / len(flat))
    targets = np.repeat(views.targets, views.features.shape[1], axis=0)
    return slope(rows, flat, targets, weights, ridge, exclusive=views.exclusive)


@pytest.mark.parametrize("exclusive", [True, False])
@pytest.mark.parametrize("ridge", probe.RIDGES)
def test_the_objective_is_flat_at_the_answer(ridge, exclusive):
    views = made(exclusive=exclusive)
    assert views.exclusive is exclusive
    rows = fit_rows(views, ridge)
    assert slope_of_views(rows, views, ridge) < 5e-4
    assert slope_of_views(rows * 0.9, views, ridge) > 5e-4  # which a worse answer is not


@pytest.mark.parametrize("exclusive", [True, False])
def test_a_channel_that_never_varies_does_not_stop_the_fit(exclusive):
    views = made(40, exclusive=exclusive)
    views.features[..., 5] = 0.7
    assert slope_of_views(fit_rows(views, 0.01), views, 0.01) < 5e-4


def test_the_order_of_photographs_and_the_size_of_chunks_do_not_matter(monkeypatch):
    views = made(exclusive=False)
    rows = fit_rows(views, 0.01)
    order = np.random.default_rng(1).permutation(len(views.targets))
    torch.testing.assert_close(fit_rows(views.part(order), 0.01), rows, rtol=0.02, atol=0.02)
    for chunk in (1, 7, 48):
        monkeypatch.setattr(probe, "_CHUNK", chunk)
        torch.testing.assert_close(fit_rows(views, 0.01), rows, rtol=0.02, atol=0.02)


@settings(max_examples=6)
@given(st.floats(0.01, 100), st.integers(0, 5), st.booleans())
def test_scaling_a_channel_scales_its_row_back(factor, channel, exclusive):
    views = made(exclusive=exclusive)
    scales = np.ones(6, np.float32)
    scales[channel] = factor
    rows = fit_rows(views, 0.05)
    scaled = fit_rows(Views(views.features * scales, views.targets), 0.05)
    torch.testing.assert_close(scaled * torch.from_numpy(scales), rows, rtol=0.02, atol=0.02)


def test_labels_that_exclude_each_other_are_told_from_others():
    assert made().exclusive
    assert not made(exclusive=False).exclusive
    two, none = made(), made()
    two.targets[0] = (1, 1, 0)
    none.targets[0] = 0
    assert not two.exclusive and not none.exclusive
    assert not made(classes=1).exclusive


def test_a_strong_class_gets_the_highest_logit():
    views = made()
    views.features[:, :, :3] += 2 * views.targets[:, None]
    found = (views.features.mean(axis=1) @ fit_rows(views, 0.01).numpy().T).argmax(axis=1)
    assert (found == views.targets.argmax(axis=1)).mean() > 0.9


@pytest.mark.parametrize("fit", ["rows", "reactivated"])
def test_features_that_are_not_finite_are_refused(fit):
    views = made()
    views.features[3, 0, 2] = np.nan
    with pytest.raises(TrainingError, match="not finite"):
        if fit == "rows":
            fit_rows(views, 0.1)
        else:
            flat = views.features[:, 0]
            fit_reactivated(flat, views.targets.argmax(axis=1), np.full(24, 1 / 24, np.float32), 3, 0.1)


def test_nothing_to_fit_gives_rows_of_zeros_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        alone = made(1)
        choice = choose_ridge(alone, fold_of(alone.targets, np.arange(1)))
        none = fit_reactivated(
            np.zeros((0, 6), np.float32), np.zeros(0, np.int64), np.zeros(0, np.float32), 3, choice.ridge
        )
    assert np.isfinite(list(choice.losses.values())).all()
    assert choice.ridge == max(probe.RIDGES)  # of equal losses
    assert not choice.scores.any() and not none.any() and none.shape == (3, 6)


def test_reactivated_features_are_fitted_at_unit_length_and_the_length_folded_back():
    views, rng = made(18), np.random.default_rng(3)
    features, classes = views.features[:, 0] * rng.uniform(0.5, 2, (18, 1)).astype(np.float32), np.arange(18) % 3
    weights = rng.random(18).astype(np.float32)
    weights /= weights.sum()
    rows = fit_reactivated(features, classes, weights, 3, 0.01)
    length = np.linalg.norm(features, axis=1, keepdims=True)
    hot = np.eye(3, dtype=np.float32)[classes]
    assert slope(rows * float(length.mean()), features / length, hot, weights, 0.01, exclusive=True) < 5e-4
    ten_times = fit_reactivated(10 * features, classes, weights, 3, 0.01)
    torch.testing.assert_close(10 * ten_times, rows, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("exclusive", [True, False])
def test_scores_of_cross_validation_come_from_rows_fitted_without_the_photograph(exclusive):
    views = made(exclusive=exclusive)
    folds = fold_of(views.targets, np.arange(24))
    choice = choose_ridge(views, folds, (0.01, 0.1))
    for fold in range(probe.FOLDS):
        others = views.part(folds != fold)
        rows = fit_rows(others, choice.ridge, exclusive=views.exclusive).numpy()
        wanted = views.features[folds == fold].mean(axis=1) @ rows.T
        np.testing.assert_allclose(choice.scores[folds == fold], wanted, rtol=1e-5, atol=1e-6)
    assert choice.losses[choice.ridge] == min(choice.losses.values())
    assert choice.losses[choice.ridge] == held_out_loss(choice.scores, views.targets, exclusive=exclusive)


def test_a_photograph_left_out_has_no_say_in_its_own_score():
    views = made()
    folds = fold_of(views.targets, np.arange(24))
    before = choose_ridge(views, folds, (0.1,)).scores
    changed = Views(views.features, views.targets.copy())
    changed.targets[0] = np.roll(changed.targets[0], 1)
    after = choose_ridge(changed, folds, (0.1,)).scores
    own = folds == folds[0]
    np.testing.assert_array_equal(before[own], after[own])
    assert not np.allclose(before[~own], after[~own])


def test_folds_without_the_one_photograph_of_two_classes_keep_the_loss_of_the_others(monkeypatch):
    views, seen = made(), []
    views.targets[5] = (1, 1, 0)
    fitted = probe._fitted
    monkeypatch.setattr(
        probe, "_fitted", lambda *of, exclusive: seen.append(exclusive) or fitted(*of, exclusive=exclusive)
    )
    choose_ridge(views, np.arange(24) % 5, (0.1,))
    assert seen == [False] * 5


LABELS = st.lists(st.integers(0, 3), min_size=1, max_size=40)


@settings(max_examples=40)
@given(LABELS)
def test_each_class_is_spread_evenly_over_the_folds(labels):
    targets = np.eye(4, dtype=np.float32)[labels]
    folds = fold_of(targets, np.arange(len(labels)))
    assert folds.min() >= 0 and folds.max() < probe.FOLDS
    for k in set(labels):
        counts = np.bincount(folds[targets[:, k] > 0], minlength=min(probe.FOLDS, len(labels)))
        assert counts.max() - counts.min() <= 1


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 8)), min_size=1, max_size=40))
def test_copies_stay_together_and_the_folds_are_the_same_again(rows):
    targets = np.array([[bits & 1, bits & 2, bits & 4] for bits, _ in rows], np.float32).clip(0, 1)
    groups = np.array([group for _, group in rows])
    folds = fold_of(targets, groups)
    assert all(len(set(folds[groups == group])) == 1 for group in groups)
    assert len(set(folds)) <= min(probe.FOLDS, len(set(groups)))
    np.testing.assert_array_equal(folds, fold_of(targets, groups))


def test_one_group_alone_is_one_fold():
    np.testing.assert_array_equal(fold_of(made(4).targets, np.zeros(4, int)), np.zeros(4))
