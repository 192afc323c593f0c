"""Instances of synthetic fields: objects told apart, whole masks filled, and the walk's linearity they rest on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recam_cli.core.affinity.instances import MOST, Parts, follow, group_cells, instances_of, walk_parts
from recam_cli.core.affinity.spread import boundary_walk, spread_seeds
from recam_cli.core.cams.store import Seed

GRID = (20, 40)
SIZE = (80, 160)
EMPTY = np.zeros(0, np.int64)


def boxes_field(*boxes):
    """A field on GRID: within each box (top, bottom, left, right) it points at the box's middle, elsewhere it is 0."""
    field = torch.zeros(2, *GRID)
    rows, columns = torch.meshgrid(*(torch.arange(n, dtype=torch.float32) for n in GRID), indexing="ij")
    for top, bottom, left, right in boxes:
        inside = (slice(top, bottom), slice(left, right))
        field[0][inside] = (top + bottom - 1) / 2 - rows[inside]
        field[1][inside] = (left + right - 1) / 2 - columns[inside]
    return field


def seed_of(*class_boxes):
    """A seed of 1 within boxes, 0 elsewhere; several (class, box)."""
    classes = sorted({k for k, _ in class_boxes})
    maps = np.zeros((len(classes), *GRID), np.float32)
    for k, (top, bottom, left, right) in class_boxes:
        maps[classes.index(k), top:bottom, left:right] = 1
    return Seed(np.array(classes, np.int64), maps, SIZE)


def found(field, seed, boundaries=None, **options):
    boundaries = torch.zeros(GRID) if boundaries is None else boundaries
    parts = walk_parts(seed, group_cells(field), boundaries, steps=4)
    walked = spread_seeds([seed], boundary_walk(boundaries[None]), steps=4)[0]
    mask = walked.label(0.4)
    return mask, instances_of(mask, parts, **options)


LEFT, RIGHT = (5, 16, 3, 15), (4, 17, 24, 37)
TOUCHING_LEFT, TOUCHING_RIGHT = (4, 17, 6, 20), (4, 17, 20, 34)


def test_two_objects_apart_are_two_instances():
    mask, result = found(boxes_field(LEFT, RIGHT), seed_of((3, LEFT), (3, RIGHT)))
    assert result.classes.tolist() == [3, 3]
    assert sorted(np.unique(result.map)) == [0, 1, 2]
    left, right = result.map[40, 36], result.map[40, 120]
    assert left != right
    assert np.array_equal(result.map > 0, mask > 0)
    assert set(result.map[:, :64][mask[:, :64] > 0]) == {left}
    assert set(result.map[:, 92:][mask[:, 92:] > 0]) == {right}


def test_touching_objects_of_one_class_are_told_apart_where_they_touch():
    seed = seed_of((0, TOUCHING_LEFT), (0, TOUCHING_RIGHT))
    mask, result = found(boxes_field(TOUCHING_LEFT, TOUCHING_RIGHT), seed)
    assert result.classes.tolist() == [0, 0]
    one, other = (result.map[40, x] for x in (40, 120))
    assert one != other
    border = [int(np.flatnonzero(row == other).min()) for row in result.map[24:60]]
    assert all(abs(x - 80) <= 4 for x in border)  # a cell is 4 pixels
    assert np.array_equal(result.map > 0, mask > 0)


def test_touching_objects_of_two_classes_keep_theirs():
    _, result = found(boxes_field(LEFT, RIGHT), seed_of((1, LEFT), (4, RIGHT)))
    assert sorted(result.classes.tolist()) == [1, 4]
    assert result.classes[result.map[40, 36] - 1] == 1
    assert result.classes[result.map[40, 120] - 1] == 4


def test_without_objects_there_are_no_instances():
    for seed in (seed_of(), Seed(np.array([2]), np.zeros((1, *GRID), np.float32), SIZE)):
        mask, result = found(boxes_field(LEFT), seed)
        assert not mask.any()
        assert not result.map.any()
        assert result.map.dtype == np.uint8
        assert len(result.classes) == len(result.scores) == 0


def test_a_field_that_tells_nothing_apart_gives_one_instance_per_piece_of_the_mask():
    _, result = found(torch.zeros(2, *GRID), seed_of((3, LEFT), (3, RIGHT)))
    assert result.classes.tolist() == [3, 3]  # apart in the mask, though of one group
    _, touching = found(torch.zeros(2, *GRID), seed_of((3, TOUCHING_LEFT), (3, TOUCHING_RIGHT)))
    assert touching.classes.tolist() == [3]


def test_cells_that_end_in_no_centroid_are_a_group_of_their_own():
    field = torch.full((2, *GRID), 5.0)
    assert np.unique(group_cells(field)).tolist() == [0]
    mask, result = found(field, seed_of((3, LEFT)))
    assert np.array_equal(result.map > 0, mask > 0)


def test_the_field_is_followed_over_many_short_steps():
    field = torch.zeros(2, *GRID)
    field[1, :, :30] = 0.5  # always a little further to the right, until column 30
    field[1, :, 30:] = -0.5
    ends = follow(field, 100)
    assert (ends[1] - 29.5).abs().max() <= 1
    assert torch.equal(ends[0].round(), torch.arange(GRID[0]).float()[:, None].expand(GRID))


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 1000), st.integers(1, 9), st.integers(1, 9))
def test_following_is_the_bilinear_walk_of_a_loop(seed, height, width):
    field = torch.randn(2, height, width, generator=torch.Generator().manual_seed(seed))
    ends = follow(field, 3)
    at = field.double().numpy()
    for y in range(height):
        for x in range(width):
            place = np.array([y, x], float)
            for _ in range(3):
                low = np.floor(place).astype(int)
                high = np.minimum(low + 1, (height - 1, width - 1))
                part = place - low
                upper = at[:, low[0], low[1]] * (1 - part[1]) + at[:, low[0], high[1]] * part[1]
                lower = at[:, high[0], low[1]] * (1 - part[1]) + at[:, high[0], high[1]] * part[1]
                step = upper * (1 - part[0]) + lower * part[0]
                place = np.clip(place + step, 0, (height - 1, width - 1))
            assert ends[:, y, x].tolist() == pytest.approx(place.tolist(), abs=1e-3)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 1000), st.integers(1, 12), st.integers(1, 12), st.integers(1, 4))
def test_the_parts_of_a_class_sum_to_what_the_class_walks_to(seed, height, width, groups):
    rng = np.random.default_rng(seed)
    whole = Seed(np.array([1, 6]), rng.random((2, height, width), dtype=np.float32), (4 * height, 4 * width))
    edges = torch.from_numpy(rng.random((height, width), dtype=np.float32))
    belongs = np.unique(rng.integers(0, groups, (height, width)), return_inverse=True)[1].reshape(height, width)

    parts = walk_parts(whole, belongs, edges, floor=0.2, steps=8)

    walked = spread_seeds([whole], boundary_walk(edges[None]), floor=0.2, steps=8)[0]
    sums = np.stack([parts.maps[parts.classes == k].sum(axis=0) for k in whole.classes])
    assert np.allclose(sums / max(sums.max(), 1e-12), walked.maps / max(walked.maps.max(), 1e-12), atol=1e-3)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 1000), st.integers(1, 30), st.integers(1, 30), st.sampled_from([0.0, 0.01, 0.3]))
def test_instances_fill_the_mask_and_are_of_one_class_each(seed, height, width, fragment):
    rng = np.random.default_rng(seed)
    parts = Parts(rng.random((4, -(-height // 4), -(-width // 4)), dtype=np.float32), np.array([0, 0, 5, 5]))
    mask = rng.choice([0, 1, 6], (height, width)).astype(np.uint8)

    result = instances_of(mask, parts, fragment=fragment)

    assert len(result.classes) == len(result.scores) == result.map.max()
    assert (np.diff(result.scores) <= 0).all()
    if len(result.classes) < MOST:
        assert np.array_equal(result.map > 0, mask > 0)
    for number, class_id in enumerate(result.classes, start=1):
        assert set(mask[result.map == number]) == {class_id + 1}


def test_small_pieces_join_the_largest_of_their_class_and_group():
    mask = np.zeros((40, 40), np.uint8)
    mask[5:20, 5:20] = mask[30:38, 30:38] = 1
    mask[0, 39] = 1  # one pixel, below a hundredth
    result = instances_of(mask, Parts(np.ones((1, 10, 10), np.float32), np.array([0])))
    assert len(result.classes) == 2
    assert result.map[0, 39] == result.map[10, 10] != result.map[34, 34]


def test_a_class_of_the_mask_that_no_part_knows_is_an_instance_of_score_0_and_undecided_pixels_are_none():
    mask = np.zeros((8, 8), np.uint8)
    mask[:4, :4], mask[4:, :4], mask[:, 6:] = 1, 9, 255
    for parts in (Parts(np.ones((1, 2, 2), np.float32), np.array([0])), Parts(np.zeros((0, 2, 2), np.float32), EMPTY)):
        result = instances_of(mask, parts)
        assert result.classes.tolist() == [0, 8]
        assert result.scores[-1] == 0
        assert np.array_equal(result.map > 0, (mask > 0) & (mask < 255))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 9), (9, 1)])
def test_images_one_cell_wide_have_instances_too(height, width):
    seed = Seed(np.array([2]), np.ones((1, height, width), np.float32), (4 * height - 3, 4 * width - 3))
    groups = group_cells(torch.zeros(2, height, width))
    mask = np.full((4 * height - 3, 4 * width - 3), 3, np.uint8)
    result = instances_of(mask, walk_parts(seed, groups, torch.zeros(height, width)))
    assert (result.map == 1).all()
    assert result.classes.tolist() == [2]
    assert result.scores.tolist() == [1]


def test_instances_of_a_large_mask_are_those_of_its_working_copy_and_fill_it():
    parts = walk_parts(
        seed_of((0, TOUCHING_LEFT), (0, TOUCHING_RIGHT), (2, (0, 3, 0, 3))),
        group_cells(boxes_field(TOUCHING_LEFT, TOUCHING_RIGHT)),
        torch.zeros(GRID),
        steps=4,
    )
    small = np.zeros(SIZE, np.uint8)
    small[16:68, 24:136] = 1
    large = np.kron(small, np.ones((5, 5), np.uint8))
    large[0, 0] = 3  # too small for the working copy
    large[100, 100] = 255

    whole, told = instances_of(large, parts, work_side=160), instances_of(small, parts)

    assert whole.map.shape == large.shape
    assert np.array_equal(whole.map > 0, (large > 0) & (large != 255))
    assert whole.classes.tolist() == [*told.classes.tolist(), 2]
    assert whole.scores[-1] == 0 and whole.map[0, 0] == len(whole.classes)
    here = np.kron(told.map, np.ones((5, 5), np.uint8)) != 0
    here &= large == 1
    assert (whole.map == np.kron(told.map, np.ones((5, 5), np.uint8)))[here].mean() > 0.99
    unshrunk = instances_of(small, parts, work_side=160)
    assert np.array_equal(unshrunk.map, told.map)
