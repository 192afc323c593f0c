"""Sizes round alike everywhere, and strips are what the whole would be."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recam_cli.core.data.sizes import enlarged_strips, row_blocks, size_at, value_counts, winners, work_size

SIDES = st.integers(1, 9000)


@given(SIDES, SIDES, st.integers(1, 5000))
def test_the_longer_side_is_met_and_the_other_is_the_nearest(height, width, side):
    found = size_at(height, width, side)
    assert max(found) == side and min(found) >= 1
    for length, exact in zip(
        found, (height * side / max(height, width), width * side / max(height, width)), strict=True
    ):
        assert abs(length - exact) <= 0.5 or length == 1
    assert size_at(width, height, side) == found[::-1]


@given(SIDES, SIDES, st.integers(0, 5000))
def test_a_working_copy_is_never_larger_and_its_own_working_copy(height, width, side):
    found = work_size(height, width, side)
    assert found[0] <= height and found[1] <= width
    assert work_size(*found, side) == found
    if side == 0 or max(height, width) <= side:
        assert found == (height, width)


def test_a_camera_s_sizes():
    assert work_size(3024, 4032, 640) == (480, 640)
    assert work_size(4032, 3024, 640) == (640, 480)
    assert work_size(5, 2, 4) == (4, 2)  # 1.6 → 2
    assert work_size(8, 1, 4) == (4, 1)  # 0.5 → 1


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 60), st.integers(1, 60), st.integers(0, 3))
def test_strips_together_are_the_resized_maps(rows, columns, height, width, count):
    maps = np.random.default_rng(rows * 10 + columns).random((count, rows, columns), dtype=np.float32)
    whole = np.zeros((count, height, width), dtype=np.float32)
    for number, one in enumerate(maps):
        whole[number] = cv2.resize(one, (width, height), interpolation=cv2.INTER_LINEAR)
    seen = 0
    for block, strip in enlarged_strips(maps, (height, width), numbers=max(1, count) * width * 3):
        assert block.start == seen and strip.shape == (count, block.stop - block.start, width)
        np.testing.assert_allclose(strip, whole[:, block], atol=1e-5)
        seen = block.stop
    assert seen == height


@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (100, 3), (1, 5000)])
def test_blocks_cover_all_rows_once_and_counts_are_those_of_the_whole(shape):
    blocks = list(row_blocks(*shape, pixels=12))
    assert [row for block in blocks for row in range(block.start, block.stop)] == list(range(shape[0]))
    mask = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    assert np.array_equal(value_counts(mask), np.bincount(mask.ravel(), minlength=256))


@given(st.integers(1, 12), st.integers(0, 1000))
def test_winners_are_the_first_largest(count, seed):
    maps = np.random.default_rng(seed).integers(0, 3, (count, 5, 4)).astype(np.float32)
    found = winners(maps)
    assert found.dtype == np.uint8
    assert np.array_equal(found, maps.argmax(axis=0))
