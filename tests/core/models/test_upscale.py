"""Masks at full size from probabilities at a smaller one."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from recam_cli.core.models.upscale import upscaled_mask


@pytest.mark.parametrize("size", [(5, 7), (20, 29), (3, 40), (1, 1)])
def test_it_is_the_argmax_of_the_resized_planes(size):
    planes = np.random.default_rng(3).random((4, 5, 7), dtype=np.float32)
    grown = np.stack([cv2.resize(p, size[::-1], interpolation=cv2.INTER_LINEAR) for p in planes])
    mask = upscaled_mask(planes, size)
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, grown.argmax(axis=0))


def test_ties_go_to_the_lower_value():
    assert (upscaled_mask(np.full((3, 2, 2), 0.25, np.float32), (4, 4)) == 0).all()
