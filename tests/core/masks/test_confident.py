from __future__ import annotations

import numpy as np
import pytest

from recam_cli.core.cams.store import Seed
from recam_cli.core.errors import UsageError
from recam_cli.core.masks.confident import ConfidentThresholds, confident_labels
from recam_cli.core.masks.refine import Refinement, SeedRefiner
from tests.core.masks.test_refine import photo_of_two_things, seed_of_two_things


def test_labels_are_where_both_refined_maps_agree():
    (image, _), seed = photo_of_two_things(), seed_of_two_things()
    thresholds = ConfidentThresholds(high=0.55, low=0.1)

    labels = confident_labels(image, seed, thresholds, Refinement())

    high, low = (SeedRefiner(image, seed).mask(t) for t in (0.55, 0.1))
    assert (labels[high > 0] == high[high > 0]).all()
    assert (labels[(high == 0) & (low == 0)] == 0).all()
    assert (labels[(high == 0) & (low > 0)] == 255).all()


def test_an_image_without_classes_is_background_for_sure():
    empty = Seed(np.zeros(0, np.int64), np.zeros((0, 6, 8), np.float32), (24, 32))
    labels = confident_labels(photo_of_two_things()[0], empty, ConfidentThresholds(0.6, 0.4), Refinement())
    assert (labels == 0).all()


def test_missing_thresholds_follow_from_the_seeds_and_stay_in_range():
    assert ConfidentThresholds.around(0.5) == ConfidentThresholds(0.62, 0.4)
    assert ConfidentThresholds.around(0.05).low == 0
    assert ConfidentThresholds.around(0.95).high == 1
    assert ConfidentThresholds.around(0.5, low=0.45).high == 0.62


def test_thresholds_the_wrong_way_round_are_refused():
    with pytest.raises(UsageError, match=r"not 0\.6 and 0\.4"):
        ConfidentThresholds(high=0.4, low=0.6)
