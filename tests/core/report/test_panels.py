"""Rows of panels, contact sheets, legends and the picture of one photograph."""

from __future__ import annotations

import numpy as np
import pytest

from recam_cli.core.data.images import read_image, read_mask
from recam_cli.core.errors import DataError
from recam_cli.core.report.canvas import jpeg_bytes, png_bytes, stack
from recam_cli.core.report.explain import explain_picture
from recam_cli.core.report.legend import (
    HEAT_ENTRY,
    IGNORE_ENTRY,
    LegendEntry,
    class_colour,
    class_entries,
    draw_legend,
)
from recam_cli.core.report.panels import Panel, image_row
from recam_cli.core.report.sheet import contact_sheet
from tests.helpers.real_data import msrc_root

ODD_NAMES = ["<b>bold</b>", "x" * 300, "naïve Ωμέγα Ёж", "日本語", "", "a\nb"]


def plain(height: int, width: int, value: int = 90) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def has_white_rim(picture: np.ndarray) -> bool:
    rim = [picture[0], picture[-1], picture[:, 0], picture[:, -1]]
    return all((line == 255).all() for line in rim)


@pytest.mark.parametrize("size", [(1, 1), (500, 20), (20, 500), (33, 77)])
def test_every_panel_of_a_row_has_its_place(size):
    row = image_row([Panel("one", plain(*size)), Panel("two", plain(50, 50, 10))], height=100)
    assert row.dtype == np.uint8 and row.ndim == 3
    assert (row == 90).all(axis=2).any() and (row == 10).all(axis=2).any()
    assert row.shape[1] <= 2 * 200 + 12


def test_aspect_ratio_is_kept():
    row = image_row([Panel("", plain(30, 45))], height=60)
    assert row.shape == (60, 90, 3) and (row == 90).all()


def test_a_row_goes_on_below_after_the_given_number_of_panels():
    panels = [Panel("", plain(10, 10)) for _ in range(5)]
    one, two = image_row(panels, height=20), image_row(panels, height=20, per_row=3)
    assert two.shape[0] == 2 * one.shape[0] + 12 and two.shape[1] < one.shape[1]


def test_no_panels_no_pictures_no_entries_still_give_a_picture():
    assert image_row([]).shape[2] == 3
    assert stack([]).shape == (1, 1, 3)
    assert draw_legend([], 100).shape == (1, 100, 3)
    assert contact_sheet([]).shape[2] == 3
    assert contact_sheet([[]], header="empty").shape[2] == 3


def test_long_titles_stay_inside_their_panel():
    row = image_row([Panel("a title far too long for it " * 9, plain(50, 50)), Panel("b", plain(50, 50))], height=100)
    gutter = row[:, 100:112]
    assert (gutter == 255).all()


def test_a_legend_wraps_and_cuts_nothing_off():
    entries = [LegendEntry(f"class number {k}", class_colour(k), 0.5) for k in range(25)]
    legend = draw_legend(entries, 300)
    assert legend.shape[1] == 300
    assert (legend[:, -1] == 255).all()
    for entry in entries:  # each swatch is there in full
        assert (legend == entry.colour).all(axis=2).sum() >= 12 * 14


@pytest.mark.parametrize("width", [1, 40, 200])
def test_a_legend_of_odd_names_fits(width):
    entries = [LegendEntry(name, (1, 2, 3)) for name in ODD_NAMES]
    legend = draw_legend([*entries, HEAT_ENTRY, IGNORE_ENTRY], width)
    assert legend.dtype == np.uint8 and legend.shape[1] <= max(width, 220)


def test_a_class_has_its_mask_colour_in_the_legend():
    from recam_cli.core.data.palette import PALETTE

    entry = class_entries(["cow", "sheep"], [1, 1], {"sheep": 0.25})[0]
    assert entry == LegendEntry("sheep", tuple(int(c) for c in PALETTE[2]), 0.25)
    assert len(class_colour(100_000)) == 3


def test_columns_of_a_contact_sheet_are_aligned():
    rows = [
        [Panel("", plain(20, 20, 10)), Panel("", plain(20, 20, 77))],
        [Panel("", plain(20, 40, 10)), None],
    ]
    rows.append([Panel("", plain(40, 20, 10)), Panel("", plain(20, 20, 77))])
    sheet = contact_sheet(rows, height=50, columns=["photograph", "mask"], header="h", legend=[IGNORE_ENTRY])
    found = np.flatnonzero((sheet == 77).all(axis=2).any(axis=0))
    assert len(found) == 50 and has_white_rim(sheet)


def explained(height: int = 30, width: int = 44, names: tuple[str, ...] = ("cow", "sheep")) -> np.ndarray:
    rng = np.random.default_rng(1)
    mask = rng.choice(np.array([0, 1, 2, 255], np.uint8), (height, width))
    maps = {name: rng.random((max(1, height // 4), max(1, width // 4)), dtype=np.float32) for name in names}
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    return explain_picture(
        image,
        maps=maps,
        classes=names,
        seed=mask,
        mask=mask,
        prediction=mask,
        truth=mask,
        scores={},
        title="t",
    )


@pytest.mark.parametrize("size", [(1, 1), (1, 90), (90, 1), (30, 44)])
def test_a_photograph_of_any_size_is_explained(size):
    picture = explained(*size)
    assert picture.dtype == np.uint8 and has_white_rim(picture)


def test_odd_class_names_are_explained():
    assert has_white_rim(explained(names=tuple(ODD_NAMES)))


def test_a_photograph_without_classes_or_stages_is_explained():
    picture = explain_picture(plain(30, 30), maps={}, classes=())
    assert (picture == 90).all(axis=2).any()


def test_stages_that_do_not_exist_are_left_out():
    image = plain(30, 30)
    alone = explain_picture(image, maps={}, classes=("cow",))
    both = explain_picture(image, maps={}, classes=("cow",), mask=np.ones((30, 30), np.uint8))
    assert both.shape[1] > alone.shape[1]


def test_a_mask_that_does_not_fit_is_named():
    with pytest.raises(DataError, match=r"the prediction has 8×9 pixels, its image 30×20"):
        explain_picture(plain(20, 30), maps={}, classes=(), prediction=np.zeros((9, 8), np.uint8))


def test_equal_content_gives_equal_bytes():
    assert png_bytes(explained()) == png_bytes(explained())
    assert jpeg_bytes(explained()) == jpeg_bytes(explained())


def test_a_real_photograph_keeps_its_outlines_where_the_truth_has_them():
    root = msrc_root()
    image = read_image(root / "JPEGImages" / "1_8_s.jpg")
    truth = read_mask(root / "SegmentationClass" / "1_8_s.png")
    classes = tuple((root / "classes.txt").read_text().split("\n"))
    picture = explain_picture(image, maps={}, classes=classes, truth=truth, height=image.shape[0])
    assert picture.shape[1] > 2 * image.shape[1]
