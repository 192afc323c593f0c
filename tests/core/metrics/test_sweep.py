"""The threshold curve from one pass against labelling anew at every threshold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recam_cli.core.cams.store import label_of
from recam_cli.core.errors import DataError, UsageError
from recam_cli.core.metrics.confusion import ConfusionMatrix
from recam_cli.core.metrics.sweep import SeedSweep, ThresholdCurve, threshold_grid
from tests.helpers.scoring import NUM_VALUES, random_seed

THRESHOLDS = st.one_of(
    st.just(threshold_grid()),
    st.integers(1, 60).map(threshold_grid),
    st.lists(st.floats(0, 1), min_size=1, max_size=12),
    # values that maps take exactly, where > and >= differ
    st.lists(st.sampled_from([0.0, 0.1, 0.5, float(np.float16(0.3)), 1.0]), min_size=1, max_size=5),
)


def drawn_images(rng, count):
    for _ in range(count):
        size = (int(rng.integers(1, 24)), int(rng.integers(1, 24)))
        classes = np.sort(rng.choice(NUM_VALUES - 1, rng.integers(0, NUM_VALUES), replace=False))
        truth = rng.choice(np.array([0, 1, 2, 3, 4, 255], np.uint8), size)
        yield truth, random_seed(rng, size, classes.tolist())


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3), THRESHOLDS)
def test_every_threshold_has_exactly_the_matrix_of_labelling_anew(seed, count, thresholds):
    images = list(drawn_images(np.random.default_rng(seed), count))
    sweep = SeedSweep(NUM_VALUES, thresholds)
    for truth, s in images:
        sweep.add(truth, s.upsampled(), s.classes)
    curve = sweep.curve()
    for index, threshold in enumerate(curve.thresholds):
        expected = ConfusionMatrix(NUM_VALUES)
        for truth, s in images:
            expected.update(truth, label_of(s.upsampled(), s.classes, threshold))
        assert (sweep.confusion(threshold).counts == expected.counts).all()
        assert (sweep.matrices()[index] == expected.counts).all()
        np.testing.assert_array_equal(curve.miou[index], expected.scores().miou)


def test_a_value_equal_to_the_threshold_is_background():
    sweep = SeedSweep(2, [0.25, 0.5, 0.75])
    sweep.add(np.ones((1, 1), np.uint8), np.full((1, 1, 1), 0.5, np.float32), np.array([0]))
    assert [int(m[1, 1]) for m in sweep.matrices()] == [1, 0, 0]


def test_equal_maps_give_the_first_class():
    maps = np.full((2, 1, 1), 0.5, np.float32)
    sweep = SeedSweep(3, [0.1])
    sweep.add(np.full((1, 1), 2, np.uint8), maps, np.array([0, 1]))
    assert sweep.matrices()[0, 2].tolist() == [0, 1, 0]


def test_thresholds_may_come_unsorted_and_twice():
    sweep = SeedSweep(2, [0.5, 0.1, 0.5])
    assert sweep.thresholds == (0.1, 0.5)


def test_thresholds_that_differ_less_than_float32_resolves_still_agree():
    close = [0.3, float(np.nextafter(0.3, 1)), float(np.float32(0.3))]
    sweep = SeedSweep(2, close)
    value = np.full((1, 1, 1), 0.3, np.float32)
    sweep.add(np.ones((1, 1), np.uint8), value, np.array([0]))
    for threshold in sweep.thresholds:
        assert sweep.confusion(threshold).counts[1, 1] == label_of(value, np.array([0]), threshold)[0, 0]


def test_merging_two_sweeps_equals_adding_to_one():
    rng = np.random.default_rng(5)
    images = list(drawn_images(rng, 4))
    one, parts = (
        SeedSweep(NUM_VALUES, threshold_grid(7)),
        [SeedSweep(NUM_VALUES, threshold_grid(7)) for _ in "ab"],
    )
    for index, (truth, s) in enumerate(images):
        for sweep in (one, parts[index % 2]):
            sweep.add(truth, s.upsampled(), s.classes)
    parts[0].merge(parts[1])
    assert (one.matrices() == parts[0].matrices()).all()
    with pytest.raises(ValueError, match="same mask values"):
        one.merge(SeedSweep(NUM_VALUES, [0.5]))


def test_memory_does_not_depend_on_the_number_of_images_and_is_small_for_80_classes():
    sweep = SeedSweep(81, threshold_grid(100))
    before = sweep.nbytes
    rng = np.random.default_rng(0)
    for _ in range(5):
        s = random_seed(rng, (20, 20), [3, 70])
        sweep.add(rng.integers(0, 81, (20, 20)).astype(np.uint8), s.upsampled(), s.classes)
    assert sweep.nbytes == before < 6_000_000
    assert sweep.matrices().sum(axis=(1, 2)).tolist() == [5 * 400] * 100


def test_254_classes_fit():
    sweep = SeedSweep(255, [0.5])
    sweep.add(np.array([[254, 255]], np.uint8), np.ones((1, 1, 2), np.float32), np.array([253]))
    assert sweep.matrices()[0, 254, 254] == 1
    assert sweep.matrices().sum() == 1


@pytest.mark.parametrize("class_id", [-1, 4])
def test_a_class_of_another_data_set_is_refused_naming_the_seed(class_id):
    with pytest.raises(DataError, match=rf"a\.npz: class {class_id} "):
        SeedSweep(NUM_VALUES, [0.5]).add(
            np.zeros((2, 2), np.uint8),
            np.zeros((1, 2, 2), np.float32),
            np.array([class_id]),
            seed_name="a.npz",
        )


def test_a_true_value_beyond_the_classes_is_refused_naming_the_mask():
    with pytest.raises(DataError, match=r"t\.png: mask value 9"):
        SeedSweep(NUM_VALUES, [0.5]).add(
            np.full((2, 2), 9, np.uint8),
            np.zeros((0, 2, 2), np.float32),
            np.array([], np.int64),
            truth_name="t.png",
        )


def test_sizes_that_differ_are_refused_naming_the_seed():
    with pytest.raises(DataError, match=r"a\.npz: 3×2 pixels"):
        SeedSweep(NUM_VALUES, [0.5]).add(
            np.zeros((2, 2), np.uint8), np.zeros((1, 2, 3), np.float32), np.array([0]), seed_name="a.npz"
        )


def test_the_grid_starts_at_zero_and_stays_below_one():
    assert threshold_grid() == tuple(i / 100 for i in range(100))
    assert threshold_grid(1) == (0.0,)


def test_the_curve_finds_its_best_and_its_values():
    curve = ThresholdCurve((0.1, 0.2, 0.3), np.array([0.4, 0.6, 0.6]))
    assert curve.best == (0.2, 0.6)
    assert curve.at(0.3) == 0.6
    with pytest.raises(UsageError, match=r"0\.15"):
        curve.at(0.15)


def test_part_of_the_thresholds_can_be_drawn_as_a_curve():
    sweep = SeedSweep(2, [0.1, 0.234, 0.4])
    sweep.add(np.ones((1, 1), np.uint8), np.full((1, 1, 1), 0.3, np.float32), np.array([0]))
    assert sweep.curve([0.4, 0.1]).thresholds == (0.1, 0.4)
    assert sweep.curve([0.4, 0.1]).miou.tolist() == [1.0, 0.0]


def test_a_sweep_without_thresholds_and_a_threshold_not_swept_are_refused():
    with pytest.raises(UsageError):
        SeedSweep(3, [])
    with pytest.raises(UsageError, match=r"0\.7"):
        SeedSweep(3, [0.5]).confusion(0.7)
