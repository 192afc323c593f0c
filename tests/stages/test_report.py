"""report: one page of all that a run holds, however much that is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from recam_cli.core.data.images import read_image
from recam_cli.core.errors import RunError, UsageError
from recam_cli.core.report.html import SummaryRow
from recam_cli.core.report.log import read_log
from recam_cli.core.report.run_curves import training_curves
from recam_cli.core.report.run_figures import class_tables, evaluations, notes, summary_rows, title_of
from recam_cli.core.report.run_sheet import evenly_spaced
from recam_cli.core.reporter import SilentReporter
from recam_cli.core.runs.run import Run
from recam_cli.core.runs.verify import verify
from recam_cli.core.settings.report import ReportSettings
from recam_cli.core.settings.resolve import resolve
from recam_cli.stages import report
from tests.helpers.manifests import edited_manifest
from tests.helpers.tiny_data import TINY_CLASSES
from tests.helpers.tiny_run import evaluate_run, make_run, record_classifier


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    run = make_run(tmp_path_factory.mktemp("tiny"), plain_cam=True)
    for flags in ({}, {"method": "cam"}, {"of": "masks"}):
        evaluate_run(run, **flags)
    return Run.open(run.path)


def write(run, reporter=None, **flags):
    data = {"dataset": "custom", "data_root": run.path.parent / "data"}
    return report.run(resolve(ReportSettings, flags={**data, **flags}), run, reporter or SilentReporter())


def test_the_page_shows_figures_curves_pictures_and_settings(full):
    reporter = SilentReporter()
    result = write(full, reporter, images=2)
    assert reporter.warnings == []
    page = result.page.read_text(encoding="utf-8")
    assert result.page == full.path / "report.html"
    for text in (
        "CAM seeds",
        "ReCAM seeds",
        "ReCAM masks",
        "Loss of train-cls",
        "Masks by confidence",
        "mAP",
        "recam_epochs",
        *TINY_CLASSES,
    ):
        assert text in page
    assert page.count("data:image/png") == 3 and page.count("data:image/jpeg") == 1
    assert "http://" not in page and "<script" not in page
    assert read_image(result.curves).shape[0] > 1000
    assert read_image(result.sheet).shape[1] > 5 * 100
    json.dumps(result.as_dict(), allow_nan=False)


def test_the_manifest_records_what_was_written(full):
    write(full, images=0)
    entry = Run.open(full.path).require("report")
    assert set(entry.outputs) == {"report.html", "curves.png"}


@pytest.mark.parametrize("name", ["report.html", "curves.png", "sheet.png"])
def test_own_files_in_the_folder_named_stay(full, tmp_path, name):
    (tmp_path / name).write_bytes(b"mine")
    before = Run.open(full.path).entry("report")
    with pytest.raises(UsageError, match=rf"{name} holds something other than what recam wrote"):
        write(full, images=0, out=tmp_path)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [(name, b"mine")]
    assert Run.open(full.path).entry("report") == before


def test_an_earlier_report_in_the_folder_named_is_replaced(full, tmp_path):
    first = write(full, images=0, out=tmp_path).page.read_text(encoding="utf-8")
    assert write(full, images=1, out=tmp_path).page.read_text(encoding="utf-8") != first


def test_a_report_outside_the_run_is_verified_in_any_folder(full, tmp_path, monkeypatch):
    monkeypatch.chdir(full.path.parent)
    run = Run.open(Path("run"))
    result = write(run, images=0, out=Path("elsewhere"))
    assert verify(run, SilentReporter()).faults == ()
    monkeypatch.chdir(tmp_path)
    assert verify(Run.open(full.path), SilentReporter()).faults == ()
    (full.path.parent / result.page).unlink()
    (fault,) = verify(Run.open(full.path), SilentReporter()).faults
    assert fault.file == str(full.path.parent / "elsewhere" / "report.html")
    write(full, images=0)


def test_every_stage_has_a_line_with_its_time_once(full):
    rows = summary_rows(full, evaluations(full))
    assert [row.what for row in rows] == ["classifier", "CAM seeds", "ReCAM seeds", "CAM masks", "ReCAM masks"]
    by_name = {row.what: row for row in rows}
    assert by_name["ReCAM seeds"].miou == full.require("evaluate-seeds-train").metrics["miou"]
    assert by_name["CAM masks"] == SummaryRow(
        "CAM masks", seconds=full.require("make-masks-cam").seconds, note="not evaluated"
    )
    assert all(row.seconds is not None for row in rows)
    assert "after CAM" in by_name["classifier"].note and "after ReCAM" in by_name["classifier"].note
    assert by_name["ReCAM masks"].note == "threshold 0.30 (given)"


def test_walked_masks_say_so_and_their_time_counts_the_parts(full, tmp_path):
    shutil.copytree(full.path, tmp_path / "run")
    with edited_manifest(tmp_path / "run") as manifest:
        masks = manifest["stages"]["make-masks"]
        masks["settings"]["refine"], masks["seconds"] = "irn+crf", 2.0
        for part, seconds in (("train-irn", 100.0), ("random-walk", 30.0), ("random-walk-cam", 1000.0)):
            manifest["stages"][part] = masks | {"seconds": seconds, "command": part}

    run = Run.open(tmp_path / "run")
    row = next(row for row in summary_rows(run, evaluations(run)) if row.what == "ReCAM masks")

    assert row.seconds == 132.0
    assert row.note.startswith("IRN and CRF, threshold 0.30")


def test_thresholds_that_saw_the_truth_are_marked(full):
    scored = evaluations(full)
    assert "swept with ground truth" in {row.what: row for row in summary_rows(full, scored)}["CAM seeds"].note
    assert any("upper bounds" in text for text in notes(full, scored))


def test_classes_that_were_not_learned_are_told_at_the_top_and_their_figures_stand_in_a_table(full, tmp_path):
    shutil.copytree(full.path, tmp_path / "run")
    known = {"verdict": "learned", "photographs": 9, "ap": 91.5, "low": 80.0, "high": 99.0, "chance": 42.5}
    few = dict.fromkeys(("ap", "low", "high", "chance")) | {"verdict": "too few", "photographs": 3}
    chance = known | {"verdict": "not learned", "ap": 31.5}
    learned = dict(zip(TINY_CLASSES, (known, chance, few), strict=False))
    with edited_manifest(tmp_path / "run") as manifest:
        metrics = manifest["stages"]["train-cls"]["metrics"]
        metrics |= {"learned": learned, "cross_validated_map": 60.5, "probe_map": 70.5}
    run = Run.open(tmp_path / "run")
    said = notes(run, evaluations(run))
    assert any(f"classes: {TINY_CLASSES[1]} (AP 32 % of 9 photographs" in text for text in said)
    assert any(text.startswith("Too few photographs") and f"{TINY_CLASSES[2]} (3)" in text for text in said)
    table = class_tables(run, [])[-1]
    assert "probe, cross-validated" in table.title and table.columns == ("AP", "at least", "at most", "chance")
    assert table.rows[0] == (TINY_CLASSES[0], (91.5, 80.0, 99.0, 42.5)) and table.rows[2][1] == (None,) * 4
    note = summary_rows(run, [])[0].note
    assert "mAP 60.5 % of the probe, cross-validated" in note and "mAP 70.5 % after the probe" in note


@pytest.mark.parametrize(("chosen", "named"), [("cam", "CAM"), ("recam", "ReCAM")])
def test_seeds_are_named_after_the_method_that_was_chosen_for_them(full, tmp_path, chosen, named):
    shutil.copytree(full.path, tmp_path / "run")
    with edited_manifest(tmp_path / "run") as manifest:
        manifest["stages"]["train-cls"]["settings"]["method"] = "auto"
        manifest["stages"]["make-seeds"]["notes"]["method"] = chosen
    assert title_of(Run.open(tmp_path / "run"), "masks", "") == f"{named} masks"


def test_tables_hold_the_classes_of_every_evaluation_and_the_precision(full):
    iou, precision, learned = class_tables(full, evaluations(full))
    assert iou.columns == ("CAM seeds", "ReCAM seeds", "ReCAM masks")
    assert [name for name, _ in iou.rows] == ["background", *TINY_CLASSES]
    assert [name for name, _ in precision.rows] == [name for name, _ in learned.rows] == list(TINY_CLASSES)


def test_the_log_of_both_phases_becomes_one_curve(full):
    (picture,) = training_curves(full, read_log(full.path / "metrics.jsonl"))
    assert picture.title == "Loss of train-cls" and picture.caption == "CAM: epoch 1; ReCAM: epoch 2"


def test_training_begun_anew_replaces_its_curve(full):
    lines = [{"stage": "s", "phase": "p", "epoch": e, "loss": float(e)} for e in (1, 2, 3)]
    (first,) = training_curves(full, lines)
    (anew,) = training_curves(full, [*lines[:2], *lines])
    assert anew == first


def test_a_run_with_a_classifier_only_has_a_report(tmp_path):
    run = record_classifier(tmp_path / "run")
    reporter = SilentReporter()
    result = write(run, reporter)
    assert (result.curves, result.sheet) == (None, None)
    assert "Nothing has been scored yet" in result.page.read_text(encoding="utf-8")
    assert "no pictures" in reporter.warnings[0]


def test_without_a_classifier_there_is_no_report(tmp_path):
    with pytest.raises(RunError, match="recam train-cls"):
        write(Run.create(tmp_path / "run"))


def test_images_and_files_that_are_gone_are_told_and_left_out(full, tmp_path):
    shutil.copytree(full.path.parent, tmp_path / "copy")
    run = Run.open(tmp_path / "copy" / "run")
    (run.path / "seeds" / "img_000.npz").write_bytes(b"damaged")
    (run.path / "masks" / "img_001.png").unlink()
    (tmp_path / "copy" / "data" / "JPEGImages" / "img_002.jpg").write_bytes(b"damaged")
    reporter = SilentReporter()
    assert write(run, reporter).sheet is not None
    assert len(reporter.warnings) == 2


def test_a_damaged_evaluation_is_named(full, tmp_path):
    shutil.copytree(full.path.parent, tmp_path / "copy")
    run = Run.open(tmp_path / "copy" / "run")
    (run.path / "evaluation" / "seeds-train.json").write_text("[1")
    with pytest.raises(RunError, match=r"seeds-train\.json has changed since evaluate-seeds-train wrote it"):
        write(run, images=0)


def test_images_are_evenly_spaced():
    assert evenly_spaced(range(10), 4) == [0, 3, 6, 9]
    assert evenly_spaced(range(3), 8) == [0, 1, 2]
    assert evenly_spaced(range(5), 1) == [0]
