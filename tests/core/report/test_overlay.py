"""Overlays: the photograph stays visible, colours are the palette's, edges are crisp."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recam_cli.core.data.palette import PALETTE
from recam_cli.core.errors import DataError
from recam_cli.core.report.overlay import boundaries, heat_overlay, line_width, mask_overlay, mask_picture


@pytest.fixture
def photo() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def test_low_heat_leaves_the_photograph_as_it_is(photo):
    assert np.array_equal(heat_overlay(photo, np.zeros((40, 60), np.float32)), photo)


def test_high_heat_is_coloured_and_still_shows_the_photograph(photo):
    seen = heat_overlay(photo, np.ones((40, 60), np.float32))
    assert seen.dtype == np.uint8
    assert seen[..., 0].mean() > seen[..., 2].mean() + 30  # red end of the scale
    assert np.corrcoef(seen[..., 0].ravel(), photo[..., 0].ravel())[0, 1] > 0.9


def test_a_smaller_map_is_scaled_to_the_photograph(photo):
    assert heat_overlay(photo, np.full((10, 15), 0.7, np.float16)).shape == photo.shape


def test_heat_without_a_number_counts_as_none(photo):
    assert np.array_equal(heat_overlay(photo, np.full((40, 60), np.nan, np.float32)), photo)


def test_background_pixels_keep_the_photograph(photo):
    assert np.array_equal(mask_overlay(photo, np.zeros((40, 60), np.uint8)), photo)


def test_a_class_is_tinted_in_its_palette_colour():
    grey = np.full((30, 30, 3), 128, np.uint8)
    seen = mask_overlay(grey, np.full((30, 30), 2, np.uint8))[15, 15].astype(int)
    assert seen[1] > seen[0] == seen[2]  # palette value 2 is green


def test_the_tint_does_not_depend_on_the_colour_below():
    mask = np.full((9, 9), 4, np.uint8)
    red, blue = (np.full((9, 9, 3), c, np.uint8) for c in ((90, 0, 0), (0, 0, 236)))
    assert np.abs(mask_overlay(red, mask).astype(int) - mask_overlay(blue, mask)).max() <= 1


def test_the_boundary_is_a_white_line_of_one_pixel():
    mask = np.zeros((20, 20), np.uint8)
    mask[:, 10:] = 1
    seen = mask_overlay(np.zeros((20, 20, 3), np.uint8), mask)
    assert (seen[:, 9] == 255).all()
    assert not (seen[:, 8] == 255).all() and not (seen[:, 10] == 255).all()


def test_ignored_pixels_are_hatched():
    seen = mask_overlay(np.zeros((24, 24, 3), np.uint8), np.full((24, 24), 255, np.uint8))
    assert len(np.unique(seen)) == 2 and seen.max() == 255


@given(arrays(np.uint8, st.tuples(st.integers(1, 7), st.integers(1, 7)), elements=st.sampled_from([0, 1, 255])))
def test_boundaries_agree_with_a_pixel_by_pixel_search(mask):
    height, width = mask.shape
    expected = np.zeros(mask.shape, bool)
    for y in range(height):
        for x in range(width):
            right = x + 1 < width and mask[y, x] != mask[y, x + 1]
            below = y + 1 < height and mask[y, x] != mask[y + 1, x]
            expected[y, x] = right or below
    assert np.array_equal(boundaries(mask), expected)


def test_outlines_grow_with_the_picture():
    assert line_width((100, 100)) == 1 and line_width((1000, 2000)) > 3


def test_a_mask_of_another_size_is_refused_with_both_sizes(photo):
    with pytest.raises(DataError, match=r"30×20 .* 60×40"):
        mask_overlay(photo, np.zeros((20, 30), np.uint8))


def test_overlays_do_not_change_their_inputs(photo):
    before, mask = photo.copy(), np.eye(40, 60, dtype=np.uint8)
    mask_overlay(photo, mask)
    heat_overlay(photo, mask.astype(np.float32))
    assert np.array_equal(photo, before) and np.array_equal(mask, np.eye(40, 60))


def test_mask_picture_shows_the_palette():
    mask = np.array([[0, 1, 255]], np.uint8)
    assert np.array_equal(mask_picture(mask), PALETTE[mask])


@pytest.mark.parametrize("value", [0, 3, 255])
def test_a_single_pixel_works(value):
    pixel = np.full((1, 1, 3), 9, np.uint8)
    assert mask_overlay(pixel, np.full((1, 1), value, np.uint8)).shape == (1, 1, 3)
    assert heat_overlay(pixel, np.ones((1, 1), np.float32)).shape == (1, 1, 3)
