"""Which classes are shown, and a classifier taken apart."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from recam_cli.core.cams.explain import MappedClassifier, present_classes

IMAGE = np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8)


def taken_apart(**options) -> MappedClassifier:
    generator = torch.Generator().manual_seed(0)
    features = torch.nn.Conv2d(3, 5, 4, stride=4, bias=False)
    with torch.no_grad():
        features.weight.normal_(0, 0.1, generator=generator)
    weight = torch.randn(3, 5, generator=generator)
    return MappedClassifier(features, ("a", "b", "c"), weight, weight, **options)


@pytest.mark.parametrize(
    ("minimum", "top", "expected"),
    [(0.5, None, [2, 0]), (0.95, None, [2]), (0.0, 3, [2, 0, 1]), (0.0, None, [2, 0, 1, 3]), (0.5, 1, [2])],
)
def test_the_classes_above_the_minimum_are_shown_best_first(minimum, top, expected):
    scores = np.array([0.6, 0.2, 0.9, 0.2], dtype=np.float32)
    assert present_classes(scores, minimum=minimum, top=top) == expected


def test_exclusive_scores_sum_to_one_and_others_are_sigmoids():
    bias = torch.tensor([0.5, 0.0, -0.5])
    softmax = taken_apart(exclusive=True, score_bias=bias).scores(IMAGE)
    sigmoid = taken_apart(score_bias=bias).scores(IMAGE)
    assert softmax.sum() == pytest.approx(1, abs=1e-6)
    logits = np.log(sigmoid / (1 - sigmoid))
    np.testing.assert_allclose(softmax, np.exp(logits) / np.exp(logits).sum(), rtol=1e-3)


def test_maps_are_of_the_chosen_classes_and_reach_one():
    seed = taken_apart().seed(IMAGE, [2, 0], scales=(1.0,))
    assert seed.classes.tolist() == [2, 0] and seed.size == (24, 40)
    assert seed.maps.shape == (2, 6, 10)
    assert seed.maps.min() >= 0 and seed.maps.max() == pytest.approx(1, abs=1e-3)
    alone = taken_apart().seed(IMAGE, [0], scales=(1.0,)).maps[0]
    np.testing.assert_allclose(alone, seed.maps[1], atol=1e-6)
