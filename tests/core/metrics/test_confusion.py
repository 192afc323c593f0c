"""The confusion matrix against counting pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recam_cli.core.data.samples import IGNORE
from recam_cli.core.errors import DataError
from recam_cli.core.metrics.confusion import ConfusionMatrix
from tests.helpers.scoring import NUM_VALUES, count_pixels, masks

SHAPE = (4, 6)


def share(part, whole):
    return part / whole if whole else None


@given(st.lists(st.tuples(masks(SHAPE), masks(SHAPE)), min_size=1, max_size=3))
@pytest.mark.parametrize("ignored", ["background", "unlabelled"])
def test_every_figure_equals_a_count_pixel_by_pixel(ignored, pairs):
    matrix = ConfusionMatrix(NUM_VALUES, ignored=ignored)
    for truth, prediction in pairs:
        matrix.update(truth, prediction)
    truths, predictions = zip(*pairs, strict=True)
    if ignored == "background":
        predictions = [np.where(p == IGNORE, 0, p) for p in predictions]
    n = count_pixels(truths, predictions)
    scores = matrix.scores()
    ious, right, total = [], 0, sum(n.values())
    for k in range(NUM_VALUES):
        hit = n[k, k]
        in_truth = sum(v for (t, _), v in n.items() if t == k)
        predicted = sum(v for (_, p), v in n.items() if p == k)
        right += hit
        for found, expected in (
            (scores.iou[k], share(hit, in_truth + predicted - hit)),
            (scores.precision[k], share(hit, predicted)),
            (scores.recall[k], share(hit, in_truth)),
        ):
            assert np.isnan(found) if expected is None else found == pytest.approx(expected)
        if in_truth + predicted:
            ious.append(hit / (in_truth + predicted - hit))
    assert matrix.total == total
    if total:
        assert scores.miou == pytest.approx(np.mean(ious))
        assert scores.pixel_accuracy == pytest.approx(right / total)
    else:
        assert np.isnan(scores.miou) and np.isnan(scores.pixel_accuracy)


@given(masks(SHAPE), masks(SHAPE), masks(SHAPE), masks(SHAPE))
def test_merging_two_matrices_equals_counting_into_one(t1, p1, t2, p2):
    one, first, second = (ConfusionMatrix(NUM_VALUES, ignored="unlabelled") for _ in range(3))
    one.update(t1, p1)
    one.update(t2, p2)
    first.update(t1, p1)
    second.update(t2, p2)
    first.merge(second)
    assert (one.counts == first.counts).all()
    assert (one.unlabelled == first.unlabelled).all()
    assert one.counts.dtype == np.int64


def test_matrices_of_different_kinds_are_not_merged():
    for other in (ConfusionMatrix(4), ConfusionMatrix(3, ignored="unlabelled")):
        with pytest.raises(ValueError, match="same mask values"):
            ConfusionMatrix(3).merge(other)


def test_a_class_absent_from_truth_and_prediction_is_undefined_and_left_out_of_the_mean():
    matrix = ConfusionMatrix(4)
    matrix.update(np.array([[0, 1]], dtype=np.uint8), np.array([[0, 1]], dtype=np.uint8))
    scores = matrix.scores()
    assert np.isnan(scores.iou[2:]).all()
    assert scores.miou == 1.0


def test_a_class_predicted_but_never_true_counts_as_zero_in_the_mean():
    matrix = ConfusionMatrix(3)
    matrix.update(np.array([[0, 0]], dtype=np.uint8), np.array([[0, 2]], dtype=np.uint8))
    scores = matrix.scores()
    assert scores.iou[2] == 0.0 and scores.precision[2] == 0.0 and np.isnan(scores.recall[2])
    assert scores.miou == pytest.approx(0.25)


@pytest.mark.parametrize("truth_wrong", [True, False])
@pytest.mark.parametrize("value", [3, 254])
def test_a_value_beyond_the_classes_is_refused_naming_file_and_value(truth_wrong, value):
    good, bad = np.zeros((2, 2), np.uint8), np.full((2, 2), value, np.uint8)
    matrix = ConfusionMatrix(3)
    with pytest.raises(DataError, match=rf"{'t' if truth_wrong else 'p'}\.png: mask value {value}"):
        matrix.update(*((bad, good) if truth_wrong else (good, bad)), truth_name="t.png", prediction_name="p.png")
    assert matrix.total == 0


def test_a_strange_predicted_value_is_refused_even_under_ignored_truth():
    with pytest.raises(DataError, match=r"p\.png: mask value 77"):
        ConfusionMatrix(3).update(
            np.full((1, 1), 255, np.uint8), np.full((1, 1), 77, np.uint8), prediction_name="p.png"
        )


def test_sizes_that_differ_are_refused_naming_the_file():
    with pytest.raises(DataError, match=r"p\.png: 5×4 pixels, but the true mask t\.png has 6×4"):
        ConfusionMatrix(3).update(
            np.zeros((4, 6), np.uint8),
            np.zeros((4, 5), np.uint8),
            truth_name="t.png",
            prediction_name="p.png",
        )


@pytest.mark.parametrize("which", [0, 1])
def test_masks_of_another_type_are_refused(which):
    pair = [np.zeros((2, 2), np.uint8), np.zeros((2, 2), np.uint8)]
    pair[which] = np.zeros((2, 2), np.int32)
    with pytest.raises(DataError, match="int32"):
        ConfusionMatrix(3).update(*pair)


def test_all_254_classes_can_be_counted():
    matrix = ConfusionMatrix(255)
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    matrix.update(values, values)
    assert matrix.total == 255
    assert matrix.scores().miou == 1.0


def test_trimming_keeps_every_value_that_appears():
    matrix = ConfusionMatrix(255)
    matrix.update(np.array([[1, 3]], np.uint8), np.array([[7, 255]], np.uint8))
    trimmed = matrix.trimmed()
    assert trimmed.num_values == 8
    assert trimmed.counts[1, 7] == 1 and trimmed.counts[3, 0] == 1
    assert ConfusionMatrix(9).trimmed().num_values == 1
