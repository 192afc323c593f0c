"""The split of the errors against counting pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from recam_cli.core.data.samples import IGNORE
from recam_cli.core.metrics.confusion import ConfusionMatrix
from recam_cli.core.metrics.errors_split import KINDS, ErrorShares
from tests.helpers.scoring import NUM_VALUES, count_pixels, masks

SHAPE = (5, 6)


def split(truth, prediction, num_values=NUM_VALUES, ignored="background"):
    matrix = ConfusionMatrix(num_values, ignored=ignored)
    matrix.update(truth, prediction)
    return ErrorShares.of(matrix)


@given(masks(SHAPE), masks(SHAPE))
@pytest.mark.parametrize("ignored", ["background", "unlabelled"])
def test_every_share_equals_a_count_pixel_by_pixel(ignored, truth, prediction):
    shares = split(truth, prediction, ignored=ignored)
    n = count_pixels([truth], [np.where(prediction == IGNORE, 0, prediction)])  # either way 255 is "not the object"
    labels = range(1, NUM_VALUES)
    for k in labels:
        kinds = {
            "false_positive_background": n[0, k],
            "false_positive_confusion": sum(n[j, k] for j in labels if j != k),
            "false_negative_background": n[k, 0],
            "false_negative_confusion": sum(n[k, j] for j in labels if j != k),
        }
        union = n[k, k] + sum(kinds.values())
        for name, pixels in kinds.items():
            found = getattr(shares, name)[k - 1]
            assert np.isnan(found) if union == 0 else found == pytest.approx(pixels / union)


@given(masks(SHAPE), masks(SHAPE))
def test_iou_and_shares_sum_to_one_for_every_class_that_appears(truth, prediction):
    shares = split(truth, prediction, ignored="unlabelled")
    total = shares.iou + shares.false_positive + shares.false_negative
    np.testing.assert_allclose(total[~np.isnan(total)], 1.0)
    assert (np.isnan(total) == np.isnan(shares.iou)).all()


@given(masks(SHAPE), masks(SHAPE))
def test_false_positives_and_negatives_are_the_published_ones(truth, prediction):
    shares = split(truth, prediction)
    counted = truth != IGNORE
    prediction = np.where(prediction == IGNORE, 0, prediction)
    for k in range(1, NUM_VALUES):
        t, p = counted & (truth == k), counted & (prediction == k)
        union = (t | p).sum()
        if union:
            assert shares.false_positive[k - 1] == pytest.approx(1 - t.sum() / union)
            assert shares.false_negative[k - 1] == pytest.approx(1 - p.sum() / union)


def test_the_four_kinds_of_errors_of_a_drawn_example():
    truth = np.array([[1, 1, 1, 1, 2, 2, 0, 0]], np.uint8)
    prediction = np.array([[1, 1, 0, 2, 2, 1, 1, 0]], np.uint8)
    found = split(truth, prediction, 4).as_dict(["cow", "dog", "tree"])
    # cow: 2 right, 1 missed, 1 called dog, 1 dog called cow, 1 spilled: union 6
    assert found["per_class"]["cow"] == {
        "false_positive": 33.33,
        "false_negative": 33.33,
        **dict.fromkeys(KINDS, 16.67),
    }
    assert found["per_class"]["tree"] is None
    # dog: 1 right, 1 called cow, 1 cow called dog: union 3
    assert found["iou_foreground"] == 33.33
    assert found["false_positive"] == 33.33
    assert found["false_positive_background"] == 8.33
    assert found["false_negative_confusion"] == 25.0
    assert found["iou_foreground"] + found["false_positive"] + found["false_negative"] == pytest.approx(100, abs=0.02)
