from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recam_cli.core.training.segmentation_loss import segmentation_loss, shrunken_masks

VALUES = 4


def slow_losses(logits, masks):
    """Return {mask value: [-log softmax at each pixel of that value]}, pixel by pixel."""
    found = {}
    for b, y, x in np.ndindex(masks.shape):
        value = int(masks[b, y, x])
        if value != 255:
            scores = logits[b, :, y, x].astype(np.float64)
            loss = np.log(np.exp(scores - scores.max()).sum()) + scores.max() - scores[value]
            found.setdefault(value, []).append(loss)
    return found


def draw(seed, shape=(2, 5, 6), values=(0, 1, 2, 3, 255)):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, (shape[0], VALUES, *shape[1:])).astype(np.float32)
    return logits, rng.choice(np.array(values), shape).astype(np.int64)


@given(seed=st.integers(0, 10_000), ignored=st.booleans())
@settings(max_examples=25, deadline=None)
def test_it_is_the_mean_over_the_pixels_that_count(seed, ignored):
    logits, masks = draw(seed, values=(0, 1, 3, 255) if ignored else (0, 1, 2, 3))

    loss = segmentation_loss([torch.from_numpy(logits)], torch.from_numpy(masks), stride=1)

    every = [v for values in slow_losses(logits, masks).values() for v in values]
    assert float(loss) == pytest.approx(np.mean(every) if every else 0.0, rel=1e-4)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_balanced_weighs_foreground_and_background_alike(seed):
    logits, masks = draw(seed, values=(0, 0, 0, 0, 1, 2, 255))

    loss = segmentation_loss([torch.from_numpy(logits)], torch.from_numpy(masks), stride=1, balanced=True)

    found = slow_losses(logits, masks)
    background = found.pop(0, [])
    foreground = [v for values in found.values() for v in values]
    parts = [np.mean(part) for part in (background, foreground) if part]
    assert float(loss) == pytest.approx(np.mean(parts), rel=1e-4)


@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize("stride", [1, 4])
def test_a_batch_of_ignored_pixels_gives_zero_and_no_gradient(balanced, stride):
    logits = torch.randn(2, VALUES, 2, 2, requires_grad=True)

    loss = segmentation_loss([logits], torch.full((2, 8, 8), 255), stride=stride, balanced=balanced)
    loss.backward()

    assert float(loss.detach()) == 0.0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


@pytest.mark.parametrize("value", [0, 2])
def test_balanced_with_one_side_only_is_the_mean_of_that_side(value):
    logits, _ = draw(1)
    masks = torch.full((2, 5, 6), value)

    both = [segmentation_loss([torch.from_numpy(logits)], masks, stride=1, balanced=b) for b in (False, True)]

    assert float(both[0]) == pytest.approx(float(both[1]), rel=1e-5)


def test_several_maps_add_up_whatever_their_size():
    masks = torch.from_numpy(draw(3, (2, 16, 16))[1])
    maps = [torch.randn(2, VALUES, n, n) for n in (4, 3, 2)]

    together = segmentation_loss(maps, masks)

    assert float(together) == pytest.approx(sum(float(segmentation_loss([m], masks)) for m in maps), rel=1e-5)


def test_low_precision_logits_are_compared_in_float32():
    logits, masks = draw(5)
    low = torch.from_numpy(logits).bfloat16()

    assert segmentation_loss([low], torch.from_numpy(masks), stride=1).dtype == torch.float32


@pytest.mark.parametrize(("length", "cells"), [(8, 2), (9, 3), (7, 3), (10, 4), (5, 5), (1, 1)])
def test_shrunken_masks_take_the_value_at_each_cells_centre(length, cells):
    masks = torch.arange(length).repeat(2, length, 1)

    small = shrunken_masks(masks, (cells, cells))

    wanted = [int((c + 0.5) * length / cells) for c in range(cells)]
    assert small.tolist() == [[wanted] * cells] * 2


def test_shrunken_masks_of_the_same_size_are_the_masks():
    masks = torch.from_numpy(draw(2)[1])

    assert torch.equal(shrunken_masks(masks, masks.shape[1:]), masks)


def test_a_perfect_prediction_costs_nothing_at_any_stride():
    masks = torch.zeros(1, 32, 32, dtype=torch.int64)
    masks[:, :, 16:] = 3
    logits = 50.0 * torch.nn.functional.one_hot(masks, VALUES).permute(0, 3, 1, 2).float()

    for stride in (1, 2, 4):
        assert float(segmentation_loss([logits], masks, stride=stride)) == pytest.approx(0.0, abs=1e-4)
