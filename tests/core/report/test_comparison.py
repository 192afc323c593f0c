"""The demo's sheet: eight aligned columns, masks scored as evaluation scores them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from recam_cli.core.data.registry import open_dataset
from recam_cli.core.errors import RunError
from recam_cli.core.report.canvas import GUTTER
from recam_cli.core.report.comparison import COLUMNS, HEIGHT, ComparisonSheet, mean_iou
from recam_cli.core.report.panels import Panel
from recam_cli.core.report.sheet import contact_sheet
from recam_cli.core.settings.groups import DataSettings
from tests.helpers.tiny_run import add_segmenter, make_run, record_classifier

CPU = torch.device("cpu")
MASKS = array_shapes(min_dims=2, max_dims=2, max_side=6).flatmap(
    lambda shape: st.tuples(*(arrays(np.uint8, shape, elements=st.sampled_from([0, 1, 2, 8])) for _ in range(2)))
)


@given(MASKS)
def test_mean_iou_over_the_classes_present_agrees_with_counting_pixel_by_pixel(pair):
    truth, mask = pair
    ious = []
    for value in np.unique(truth):
        both = [
            (a == value and b == value, a == value or b == value) for a, b in zip(truth.flat, mask.flat, strict=True)
        ]
        ious.append(sum(hit for hit, _ in both) / sum(either for _, either in both))
    assert mean_iou(truth, mask) == pytest.approx(100 * np.mean(ious))


def test_pixels_without_truth_do_not_count():
    assert mean_iou(np.array([[1, 255]], np.uint8), np.array([[1, 0]], np.uint8)) == pytest.approx(100)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    made = make_run(tmp_path_factory.mktemp("comparison"), plain_cam=True)
    add_segmenter(made)
    return made


def test_each_image_is_a_row_of_eight_pictures(run):
    images = open_dataset(DataSettings(dataset="custom", data_root=run.path.parent / "data"), "train")
    one, two = (ComparisonSheet(run, CPU, "fp32").draw(images, images.samples[:count]) for count in (1, 2))
    assert two.shape[1] >= len(COLUMNS) * HEIGHT
    assert two.shape[0] - one.shape[0] > HEIGHT
    pictures = np.flatnonzero((two[: one.shape[0]] != 255).any(axis=2).sum(axis=0) > 0.6 * HEIGHT)
    assert np.count_nonzero(np.diff(pictures) >= GUTTER) == len(COLUMNS) - 1


def test_a_run_without_masks_of_plain_cam_is_refused(tmp_path):
    with pytest.raises(RunError, match="make-masks-cam"):
        ComparisonSheet(record_classifier(tmp_path / "run"), CPU, "fp32")


def test_letters_of_a_contact_sheet_can_be_larger_than_its_pictures_ask_for():
    rows = [[Panel("name", np.zeros((40, 40, 3), np.uint8))]]
    usual, large = (contact_sheet(rows, header="h", height=40, letter_size=size) for size in (None, 24))
    assert large.shape[0] > usual.shape[0] + 20
    assert (large == 0).all(axis=2).sum() >= 1600
