"""The coverage curve from one pass against masking anew at every threshold."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recam_cli.core.data.samples import IGNORE
from recam_cli.core.errors import DataError, UsageError
from recam_cli.core.metrics.confusion import ConfusionMatrix
from recam_cli.core.metrics.coverage import CONFIDENCES, CoverageCounts
from tests.helpers.scoring import NUM_VALUES

IGNORED = st.sampled_from(["background", "unlabelled"])
THRESHOLDS = st.one_of(st.just(CONFIDENCES), st.lists(st.floats(0, 1), min_size=1, max_size=6))


def drawn(seed, count=2):
    """Draw (truth, mask, levels) of some images, 255 among the values and both ends among the levels."""
    rng = np.random.default_rng(seed)
    values = np.array([*range(NUM_VALUES), IGNORE], np.uint8)
    for _ in range(count):
        shape = (int(rng.integers(1, 9)), int(rng.integers(1, 9)))
        levels = rng.choice([0, 51, 127, 128, 153, 230, 243, 253, 255, *rng.integers(0, 256, 4)], shape)
        yield rng.choice(values, shape), rng.choice(values, shape), levels.astype(np.uint8)


def counted(images, thresholds, ignored):
    counts = CoverageCounts(NUM_VALUES, thresholds, ignored=ignored)
    for image in images:
        counts.update(*image)
    return counts


def slow_point(images, threshold, ignored):
    """Return the figures of one threshold pixel by pixel: coverage, as objects, precision, recall, mIoU."""
    pixels = [
        (int(t), int(p), 255 * threshold <= c + 5e-7)
        for truth, mask, levels in images
        for t, p, c in zip(truth.ravel(), mask.ravel(), levels.ravel(), strict=True)
        if t != IGNORE
    ]
    if ignored == "background":
        pixels = [(t, 0 if p == IGNORE else p, kept) for t, p, kept in pixels]
    kept = [(t, p) for t, p, stays in pixels if stays]
    precision, recall, iou = [], [], []
    for value in range(NUM_VALUES):
        right = sum(t == p == value for t, p in kept)
        predicted, true = sum(p == value for _, p in kept), sum(t == value for t, _ in kept)
        everywhere = sum(t == value for t, _, _ in pixels)
        precision += [right / predicted] if predicted else []
        recall += [right / everywhere] if everywhere else []
        iou += [right / (predicted + true - right)] if predicted + true else []
    covered = [p for _, p in kept if p != IGNORE]
    shares = [len(covered) / len(pixels), sum(p > 0 for p in covered) / len(pixels)] if pixels else [np.nan] * 2
    return [*shares, *(np.mean(part) if part else np.nan for part in (precision, recall, iou))]


@given(seed=st.integers(0, 10_000), thresholds=THRESHOLDS, ignored=IGNORED)
@settings(max_examples=60, deadline=None)
def test_every_point_is_that_of_masking_anew(seed, thresholds, ignored):
    images = list(drawn(seed))

    for point in counted(images, thresholds, ignored).curve():
        found = [point.coverage, point.object_coverage, point.precision, point.recall, point.miou]
        np.testing.assert_allclose(found, slow_point(images, point.threshold, ignored), atol=1e-12)


@given(seed=st.integers(0, 10_000), thresholds=THRESHOLDS, ignored=IGNORED)
@settings(max_examples=40, deadline=None)
def test_kept_sets_nest_so_coverage_and_recall_fall(seed, thresholds, ignored):
    counts = counted(drawn(seed), thresholds, ignored)
    matrices = [counts.confusion(index) for index in range(len(counts.thresholds))]

    for more, fewer in pairwise(matrices):
        assert (more.counts >= fewer.counts).all() and (more.unlabelled >= fewer.unlabelled).all()
    for name in ("coverage", "object_coverage", "recall"):
        values = [getattr(point, name) for point in counts.curve()]
        assert np.isnan(values).all() or values == sorted(values, reverse=True)


@given(seed=st.integers(0, 10_000), ignored=IGNORED)
@settings(max_examples=40, deadline=None)
def test_threshold_0_and_all_pixels_are_the_plain_score(seed, ignored):
    images, plain = list(drawn(seed)), ConfusionMatrix(NUM_VALUES, ignored=ignored)
    for truth, mask, _ in images:
        plain.update(truth, mask)

    counts = counted(images, CONFIDENCES, ignored)

    for matrix in (counts.confusion(), counts.confusion(0)):
        assert (matrix.counts == plain.counts).all() and (matrix.unlabelled == plain.unlabelled).all()
    np.testing.assert_array_equal(counts.curve()[0].miou, plain.scores().miou)


def test_a_mask_of_nothing_but_255_covers_nothing_where_that_is_unlabelled():
    image = np.ones((2, 2), np.uint8), np.full((2, 2), IGNORE, np.uint8), np.full((2, 2), 255, np.uint8)

    (point,) = counted([image], [0.5], "unlabelled").curve()

    assert (point.coverage, point.recall, point.miou) == (0.0, 0.0, 0.0)
    assert point.as_dict() == {
        "threshold": 0.5,
        "coverage": 0.0,
        "object_coverage": 0.0,
        "precision": None,
        "recall": 0.0,
        "miou": 0.0,
    }


def test_thresholds_come_sorted_and_once_and_there_is_one():
    assert CoverageCounts(2, [0.9, 0.5, 0.9]).thresholds == (0.5, 0.9)
    with pytest.raises(UsageError, match="at least one threshold"):
        CoverageCounts(2, [])


def test_faults_name_the_mask():
    counts, mask = CoverageCounts(2), np.zeros((2, 2), np.uint8)
    for arguments, message in [
        ((mask, mask, mask[:1]), "m: its confidence is no uint8 map of its size"),
        ((mask, mask, mask.astype(np.float32)), "m: its confidence"),
        ((mask, mask + 7, mask), "m: mask value 7"),
        ((mask + 7, mask, mask), "t: mask value 7"),
        ((mask[:1], mask, mask), "m: 2×2 pixels"),
    ]:
        with pytest.raises(DataError, match=message):
            counts.update(*arguments, truth_name="t", prediction_name="m")
