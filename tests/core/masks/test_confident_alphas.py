from __future__ import annotations

import numpy as np
import pytest

from recam_cli.core.cams.store import Seed
from recam_cli.core.data.samples import IGNORE
from recam_cli.core.errors import UsageError
from recam_cli.core.masks.confident_alphas import AgreeingAlphas
from recam_cli.core.masks.crf import PSA, DenseCrf
from recam_cli.core.masks.unary import fading_scores, soft_unary
from tests.core.masks.test_refine import photo_of_two_things, seed_of_two_things


def refined(image, seed, alpha):
    """The mask of one background exponent, by the dense CRF on -log of the scores as they are."""
    scores = fading_scores(seed.upsampled(), alpha)
    best = DenseCrf(image, len(scores), PSA).infer(soft_unary(scores)).argmax(axis=0)
    return np.array([0, *(seed.classes + 1)])[best]


def test_labels_are_what_both_refined_maps_name():
    (image, _), seed = photo_of_two_things(), seed_of_two_things()

    labels = AgreeingAlphas(low=1, high=64)(image, seed)

    low, high = refined(image, seed, 1), refined(image, seed, 64)
    assert ((low != high) & (labels == IGNORE)).any()
    assert np.array_equal(labels, np.where(low == high, low, IGNORE))


def test_a_low_exponent_leaves_less_object_than_a_high_one():
    maps = np.linspace(0, 1, 101, dtype=np.float32)[None, None]
    background = [fading_scores(maps, alpha)[0] for alpha in (4, 32)]
    assert (background[0] >= background[1]).all()
    least = [float(maps[0, 0][(maps > score)[0, 0]].min()) for score in background]
    assert least == pytest.approx([0.28, 0.08], abs=0.011)


def test_scores_hold_the_background_first_and_the_maps_as_they_are():
    maps = np.random.default_rng(0).random((3, 4, 5), dtype=np.float32)
    scores = fading_scores(maps, 2.0)
    assert scores.dtype == np.float32
    assert np.allclose(scores[0], (1 - maps.max(axis=0)) ** 2)
    assert np.array_equal(scores[1:], maps)


def test_a_level_on_all_maps_changes_nothing_once_taken_off():
    (image, _), seed = photo_of_two_things(), seed_of_two_things()
    raised = Seed(seed.classes, (0.5 + 0.5 * seed.maps).astype(np.float32), seed.size)

    plain = AgreeingAlphas()(image, seed)

    assert (AgreeingAlphas(floor=0.5)(image, raised) == plain).mean() > 0.999
    assert (AgreeingAlphas()(image, raised) == plain).mean() < 0.9


def test_an_image_without_classes_is_background_for_sure():
    empty = Seed(np.zeros(0, np.int64), np.zeros((0, 6, 8), np.float32), (24, 32))
    assert (AgreeingAlphas()(photo_of_two_things()[0], empty) == 0).all()


@pytest.mark.parametrize(("low", "high"), [(8, 4), (0, 4), (-1, 4)])
def test_exponents_the_wrong_way_round_are_refused(low, high):
    with pytest.raises(UsageError, match="--psa-low-alpha or --psa-high-alpha"):
        AgreeingAlphas(low=low, high=high)
