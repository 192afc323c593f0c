"""Curves and bars: PNG bytes, the same each time, for whatever the run holds."""

from __future__ import annotations

import io
import json

import matplotlib
import numpy as np
import pytest
from PIL import Image

from recam_cli.core.errors import ExitCode, RunError
from recam_cli.core.report.bars import class_bars, confusion_picture
from recam_cli.core.report.coverage_curves import CoverageLine, coverage_curves
from recam_cli.core.report.curves import SweepLine, loss_curves, score_curves, threshold_curves
from recam_cli.core.report.log import Series, read_log, series_of, smoothed
from recam_cli.core.report.run_curves import training_curves
from recam_cli.core.runs.manifest import Manifest
from recam_cli.core.runs.run import Run

ODD_NAMES = ["<b>", "$x^2$", "y" * 200, "日本語", "a\nb", "_hidden"]
LOSS = Series("BCE", (0.0, 1.0, 2.0, 3.0), (0.9, 0.5, 0.4, 0.3))
SWEEP = SweepLine("CAM", ((0.0, 40.0), (0.3, 57.0), (0.6, 57.0), (0.9, 10.0)), (0.25, 56.0))

COVERAGE = CoverageLine("ReCAM", ((0.0, 100.0, 80.0, 90.0), (0.5, 99.9, 80.1, 89.9), (0.9, 40.0, 95.0, 30.0)))


def pixels_of(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png), formats=["PNG"]).convert("RGB"))


def nothing_clipped(png: bytes) -> bool:
    pixels = pixels_of(png)
    rim = [pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]
    return all((line == 255).all() for line in rim)


FIGURES = {
    "loss": lambda: loss_curves([LOSS], learning_rate=Series("lr", (0.0, 3.0), (0.1, 0.0))),
    "single point": lambda: loss_curves([Series("one", (1.0,), (2.0,))]),
    "no loss": lambda: loss_curves([Series("BCE", (), ())]),
    "scores": lambda: score_curves([Series("mAP", (1.0, 2.0), (60.0, 70.0))]),
    "no scores": lambda: score_curves([]),
    "sweep": lambda: threshold_curves([SWEEP, SweepLine("ReCAM", SWEEP.points)]),
    "no sweep": lambda: threshold_curves([SweepLine("CAM", ())]),
    "coverage": lambda: coverage_curves([COVERAGE, CoverageLine("y" * 200, COVERAGE.points)]),
    "no coverage": lambda: coverage_curves([]),
    "bars": lambda: class_bars(ODD_NAMES, {"CAM": [1.0, None, 100.0, float("nan"), 0.0, 5.0], "ReCAM": [50.0] * 6}),
    "no bars": lambda: class_bars([], {}),
    "confusion": lambda: confusion_picture(np.arange(36).reshape(6, 6), ODD_NAMES),
    "empty row": lambda: confusion_picture(np.zeros((2, 2), np.int64), ["background", "cow"]),
    "no confusion": lambda: confusion_picture(np.zeros((0, 0), np.int64), []),
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_a_png_with_nothing_cut_off(name):
    assert nothing_clipped(FIGURES[name]())


@pytest.mark.parametrize("name", ["loss", "sweep", "coverage"])
def test_equal_figures_have_equal_bytes(name):
    assert FIGURES[name]() == FIGURES[name]()


def test_a_users_own_style_changes_nothing_and_is_kept():
    plain = FIGURES["scores"]()
    with matplotlib.rc_context({"lines.linewidth": 9.0, "font.size": 30.0}):
        assert FIGURES["scores"]() == plain
        assert matplotlib.rcParams["lines.linewidth"] == 9.0


def test_many_classes_make_a_taller_figure():
    few, many = (pixels_of(class_bars(["c"] * n, {"IoU": [1.0] * n})).shape[0] for n in (5, 40))
    assert many > 2 * few


def test_the_best_threshold_is_the_lowest_of_equals():
    assert SWEEP.best == (0.3, 57.0)


def test_a_sweep_is_read_from_an_evaluation():
    evaluation = {
        "curve": [[0.0, 10.0], [0.5, None], [0.9, 20.0]],
        "label_free": {"threshold": 0.5, "miou": 15.0, "chosen": "label-free"},
    }
    assert SweepLine.of("CAM", evaluation) == SweepLine("CAM", ((0.0, 10.0), (0.9, 20.0)), (0.5, 15.0))
    assert SweepLine.of("masks", {"curve": None, "label_free": None}) == SweepLine("masks", ())


def test_a_coverage_line_is_read_from_an_evaluation_without_what_is_undefined():
    shares = {"coverage": 90.0, "object_coverage": 30.0, "precision": 80.0, "recall": 70.0, "miou": 60.0}
    points = [{"threshold": 0.0, **shares}, {"threshold": 0.99, **shares, "precision": None}]
    assert CoverageLine.of("CAM", {"coverage": points}) == CoverageLine("CAM", ((0.0, 90.0, 80.0, 70.0),))
    assert CoverageLine.of("CAM", {"coverage": points[1:]}) is None
    assert CoverageLine.of("CAM", {"coverage": None}) is None
    assert CoverageLine.of("CAM", {}) is None


def test_series_hold_the_lines_with_both_numbers():
    lines = [
        {"stage": "a", "step": 1, "loss": 2},
        {"stage": "b", "step": 2, "loss": 3.0},
        {"stage": "a", "step": 3},
        {"stage": "a", "step": 4, "loss": "much"},
        {"stage": "a", "step": 5, "loss": True},
        {"stage": "a", "step": 6, "loss": float("inf")},
        {"stage": "a", "step": 7, "loss": 1.5},
    ]
    assert series_of(lines, "loss", where={"stage": "a"}) == Series("loss", (1.0, 7.0), (2.0, 1.5))


@pytest.mark.parametrize("count", [1, 2, 3, 10, 101])
def test_smoothing_agrees_with_the_mean_over_each_window(count):
    values = tuple(np.random.default_rng(count).random(count))
    reach = round(count * 0.05 / 2)
    expected = [np.mean(values[max(0, i - reach) : i + reach + 1]) for i in range(count)]
    np.testing.assert_allclose(smoothed(values), expected)


def test_smoothing_nothing_gives_nothing():
    assert smoothed(()).shape == (0,)


def test_the_log_is_read_line_by_line(tmp_path):
    log = tmp_path / "metrics.jsonl"
    log.write_text(json.dumps({"step": 1}) + "\n\n" + json.dumps({"step": 2}) + "\n")
    assert read_log(log) == [{"step": 1}, {"step": 2}]


def test_a_run_that_logged_nothing_has_an_empty_log(tmp_path):
    assert read_log(tmp_path / "metrics.jsonl") == []


def test_an_unfinished_last_line_is_not_logged_yet(tmp_path):
    log = tmp_path / "metrics.jsonl"
    log.write_text('{"step": 1}\n{"step": 2, "lo')
    assert read_log(log) == [{"step": 1}]


@pytest.mark.parametrize("line", ["{broken", "[1]", "7", "[" * 100_000])
def test_a_damaged_line_of_the_log_is_named(tmp_path, line):
    log = tmp_path / "metrics.jsonl"
    log.write_text(f'{{"step": 1}}\n{line}\n{{"step": 3}}\n')
    with pytest.raises(RunError, match="line 2"):
        read_log(log)


def test_a_cut_within_a_character_of_the_last_line_is_an_unfinished_line_too(tmp_path):
    log = tmp_path / "metrics.jsonl"
    log.write_bytes(b'{"step": 1}\n' + '{"class": "é'.encode()[:-1])
    assert read_log(log) == [{"step": 1}]


@pytest.mark.parametrize("content", [bytes(range(128, 256)) + b"\n", b'{"step": 1}\n{"a": "\xff"}\n', None])
def test_a_log_that_is_no_text_or_a_folder_is_a_damaged_run(tmp_path, content):
    log = tmp_path / "metrics.jsonl"
    log.mkdir() if content is None else log.write_bytes(content)
    with pytest.raises(RunError, match=r"metrics\.jsonl: .* Restore the file") as caught:
        read_log(log)
    assert caught.value.exit_code == ExitCode.BAD_RUN


def test_numbers_that_cannot_be_drawn_are_left_out():
    lines = [{"step": 1, "loss": value} for value in (10**400, float("nan"), float("inf"), 1e300, True, "1", 0.5)]
    assert series_of(lines, "loss").y == (0.5,)


@pytest.mark.parametrize(
    "odd",
    [{"epoch": "a"}, {"epoch": None}, {"epoch": 10**400}, {"phase": {"a": 1}}, {"phase": [1]}, {"stage": ["x"]}],
    ids=str,
)
def test_strange_lines_of_the_log_are_not_epochs(tmp_path, odd):
    good = [{"stage": "train-cls", "phase": "CAM", "epoch": k, "loss": 1.0 / k} for k in (1, 2)]
    run = Run(tmp_path, Manifest())
    assert len(training_curves(run, [*good, good[0] | odd])) == len(training_curves(run, good)) == 1
