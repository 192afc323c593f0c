"""predict: one mask per photograph, none lost, none overwritten unasked; failures do not stop the others."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
import torch
from PIL import Image

from recam_cli.core.data.images import read_image, read_mask, write_image, write_mask
from recam_cli.core.errors import DataError, RunError, UsageError
from recam_cli.core.reporter import SilentReporter
from recam_cli.core.runs.run import Run
from recam_cli.core.settings.predict import PredictSettings
from recam_cli.core.settings.resolve import resolve
from recam_cli.stages import predict
from tests.helpers.tiny_data import TINY_CLASSES, draw_photo
from tests.helpers.tiny_run import add_segmenter, record_classifier


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    run = record_classifier(tmp_path_factory.mktemp("tiny") / "run")
    add_segmenter(run)
    return Run.open(run.path)


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    for name, size in (("a.jpg", (30, 44)), ("b.png", (25, 25)), ("sub/a.jpg", (18, 40))):
        write_image(folder / name, draw_photo((0, 1), size=size, seed=len(name))[0])
    (folder / "notes.txt").write_text("no photograph")
    (folder / "._a.jpg").write_bytes(b"left by a file manager")
    return folder


def segment(run, *places, reporter=None, **flags):
    flags = {"workers": 0, "device": "cpu", "precision": "fp32", "flip": False, **flags}
    return predict.run(resolve(PredictSettings, flags=flags), run, reporter or SilentReporter(), places)


def test_every_photograph_of_a_folder_gets_a_mask_of_its_size(run, photos, tmp_path):
    result = segment(run, photos, out=tmp_path / "masks")
    assert [one.mask for one in result.predicted] == [tmp_path / "masks" / n for n in ("a.png", "b.png")]
    for one in result.predicted:
        mask = read_mask(one.mask)
        assert mask.shape == read_image(one.image).shape[:2] and mask.max() <= len(TINY_CLASSES)
        assert sum(one.shares.values()) == pytest.approx(1, abs=1e-3)
    assert Image.open(tmp_path / "masks" / "a.png").mode == "P"
    json.dumps(result.as_dict(), allow_nan=False)


def test_sub_folders_count_with_recursive_and_are_kept(run, photos, tmp_path):
    result = segment(run, photos, out=tmp_path / "masks", recursive=True)
    found = sorted(str(one.mask.relative_to(tmp_path / "masks")) for one in result.predicted)
    assert found == ["a.png", "b.png", "sub/a.png"]


def test_masks_below_the_photographs_are_not_taken_for_photographs(run, photos):
    out = photos / "masks"
    assert segment(run, photos, out=out, recursive=True).made == 3
    again = segment(run, photos, out=out, recursive=True)
    assert (again.made, again.kept) == (0, 3)


@pytest.mark.parametrize("change", ["segmenter", "settings", "photograph", "foreign"])
def test_masks_made_of_anything_else_are_refused_untouched(run, photos, tmp_path, change):
    out, flags = tmp_path / "masks", {}
    segment(run, photos, out=out)
    if change == "segmenter":
        run = record_classifier(tmp_path / "other")
        add_segmenter(run, seed=1)
    elif change == "settings":
        flags = {"eval_scales": "0.5"}
    elif change == "photograph":
        write_image(photos / "b.png", draw_photo((1,), size=(25, 25), seed=9)[0])
    else:
        write_mask(out / "b.png", read_mask(out / "b.png"))
    before = {path: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(
        RunError, match=r"masks/\w\.png.* (?:was|were) made from another photograph, or by another segmenter"
    ):
        segment(run, photos, out=out, **flags)
    assert {path: path.read_bytes() for path in out.iterdir()} == before
    assert segment(run, photos, out=out, overwrite=True, **flags).made == 2


def test_what_does_not_change_masks_does_not_make_them_others(run, photos, tmp_path):
    segment(run, photos, out=tmp_path / "masks")
    again = segment(run, photos, out=tmp_path / "masks", recursive=True, workers=1)
    assert (again.made, again.kept) == (1, 2)


def test_masks_that_are_there_are_kept_unless_overwritten(run, photos, tmp_path):
    out = tmp_path / "masks"
    first = segment(run, photos, out=out)
    (out / "a.png").unlink()
    before = (out / "b.png").stat().st_mtime_ns
    again = segment(run, photos, out=out)
    assert (again.made, again.kept) == (1, 1)
    assert (out / "b.png").stat().st_mtime_ns == before
    assert [one.shares for one in again.predicted] == [one.shares for one in first.predicted]
    anew = segment(run, photos, out=out, overwrite=True)
    assert (anew.made, anew.kept) == (2, 0)
    assert (out / "b.png").stat().st_mtime_ns != before


def test_an_overlay_lies_beside_each_mask_also_of_masks_made_before(run, photos, tmp_path):
    out = tmp_path / "masks"
    segment(run, photos / "a.jpg", out=out)
    result = segment(run, photos, out=out, overlay=True)
    assert (result.made, result.kept, result.overlays) == (1, 1, 2)
    assert read_image(out / "a_overlay.jpg").shape == read_image(photos / "a.jpg").shape
    assert segment(run, photos, out=out, overlay=True).overlays == 0


def test_a_large_photograph_is_scaled_down_but_its_mask_is_not(run, tmp_path):
    write_image(tmp_path / "large.jpg", draw_photo((0, 2), size=(120, 200))[0])
    (one,) = segment(run, tmp_path / "large.jpg", out=tmp_path / "m", long_side=64, overlay=True).predicted
    assert read_mask(one.mask).shape == (120, 200)
    assert read_image(tmp_path / "m" / "large_overlay.jpg").shape[:2] == (38, 64)


def test_a_file_named_twice_is_predicted_once(run, photos, tmp_path):
    assert segment(run, photos / "a.jpg", photos, photos / "a.jpg", out=tmp_path / "m").made == 2


@pytest.mark.parametrize("recursive", [True, False])
def test_two_photographs_of_one_name_are_refused_before_anything_is_written(run, photos, tmp_path, recursive):
    write_image(photos / "a.png", draw_photo((0,))[0])
    with pytest.raises(DataError, match=r"a\.jpg and .*a\.png would both be written to"):
        segment(run, photos, out=tmp_path / "masks", recursive=recursive)
    with pytest.raises(DataError, match="would both be written to"):
        segment(run, photos / "b.png", photos / "sub", photos / "a.jpg", out=tmp_path / "masks")
    assert not (tmp_path / "masks").exists()


def test_masks_never_replace_photographs(run, photos):
    with pytest.raises(UsageError, match="is where the photographs lie"):
        segment(run, photos, out=photos, overwrite=True)
    with pytest.raises(UsageError, match="is one of the photographs"):
        segment(run, photos / "b.png", out=photos, overwrite=True)


def test_a_broken_photograph_is_told_and_the_others_are_made(run, photos, tmp_path):
    (photos / "c.jpg").write_bytes((photos / "a.jpg").read_bytes()[:150])
    reporter = SilentReporter()
    result = segment(run, photos, out=tmp_path / "masks", reporter=reporter, workers=2)
    assert result.made == 2 and [f.path.name for f in result.failed] == ["c.jpg"]
    assert len(reporter.warnings) == 1 and "c.jpg" in reporter.warnings[0]


@pytest.mark.parametrize("overlay", [True, False])
def test_links_in_a_circle_pipes_and_devices_are_told_and_the_others_are_made(run, photos, tmp_path, overlay):
    (photos / "loop.jpg").symlink_to("loop.jpg")
    (photos / "nowhere.jpg").symlink_to("gone.jpg")
    (photos / "zero.jpg").symlink_to("/dev/zero")
    os.mkfifo(photos / "pipe.jpg")
    reporter = SilentReporter()
    result = segment(run, photos, out=tmp_path / "masks", reporter=reporter, overlay=overlay)
    told = ["loop.jpg", "nowhere.jpg", "pipe.jpg", "zero.jpg"]
    assert result.made == 2 and [failure.path.name for failure in result.failed] == told
    assert [name in warning for name, warning in zip(told, reporter.warnings, strict=True)] == [True] * 4
    assert "symbolic links" in reporter.warnings[0]


def test_links_in_a_circle_named_as_places_are_told(run, photos, tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(DataError, match="loop: no such file or folder"):
        segment(run, tmp_path / "loop", out=tmp_path / "m")
    with pytest.raises(RunError, match=r"cannot write .*loop"):
        segment(run, photos, out=tmp_path / "loop")


@pytest.mark.parametrize("overlay", [True, False])
def test_long_names_get_masks_and_those_too_long_are_told(run, photos, tmp_path, overlay):
    longest, fits = photos / f"{'n' * 251}.jpg", photos / f"{'é' * 121}.jpg"
    for path in (longest, fits):
        path.write_bytes((photos / "a.jpg").read_bytes())
    names = photos, photos.parent / f"{'m' * 255}"
    names[1].write_bytes((photos / "a.jpg").read_bytes())
    for _ in range(2):
        result = segment(run, *names, out=tmp_path / "masks", overlay=overlay)
        assert result.made + result.kept == (3 if overlay else 4)
        reasons = {failure.path: failure.reason for failure in result.failed}
        assert set(reasons) == ({names[1], longest} if overlay else {names[1]})
        assert all("name is too long" in text and "Rename the photograph" in text for text in reasons.values())


def test_a_broken_mask_of_before_is_told(run, photos, tmp_path):
    (tmp_path / "a.png").write_bytes(b"no mask")
    result = segment(run, photos, out=tmp_path)
    assert result.made == 1 and [f.path.name for f in result.failed] == ["a.jpg"]


def test_places_without_photographs_are_named(run, photos, tmp_path):
    (photos / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty: no photograph in it \(sub-folders count with --recursive\)"):
        segment(run, photos / "empty", out=tmp_path / "m")
    with pytest.raises(DataError, match=r"absent\.jpg: no such file or folder"):
        segment(run, photos / "absent.jpg", out=tmp_path / "m")


def test_without_a_segmenter_it_names_the_command(photos, tmp_path):
    bare = record_classifier(tmp_path / "bare")
    with pytest.raises(RunError, match="Train it with: recam train-seg --run"):
        segment(bare, photos, out=tmp_path / "m")


def test_equal_photographs_give_equal_masks(run, photos, tmp_path):
    first, second = (segment(run, photos / "a.jpg", out=tmp_path / n).predicted[0].mask for n in "xy")
    assert first.read_bytes() == second.read_bytes()


def test_the_dense_crf_refines(run, photos, tmp_path):
    pytest.importorskip("pydensecrf.densecrf")
    (one,) = segment(run, photos / "a.jpg", out=tmp_path / "m", crf=True).predicted
    assert read_mask(one.mask).shape == (30, 44)


def test_what_was_found_is_told_in_words(tmp_path):
    def one(names):
        return predict.Predicted(tmp_path, tmp_path, dict.fromkeys(names, 0.1), kept=False)

    result = predict.PredictResult(tmp_path, (one(["background", "cow"]), one(["cow", "dog"])), (), 0)
    assert predict.found_text(result) == "cow in 2, dog in 1"
    assert predict.found_text(result, most=1) == "cow in 2 and 1 more classes"
    assert predict.found_text(predict.PredictResult(tmp_path, (one(["background"]),), (), 0)) == "no class found"


def test_predictions_of_the_plain_cam_segmenter_lie_apart_from_the_runs_own(run, photos, monkeypatch):
    segmenter = predict.run_segmenter(run, "", torch.device("cpu"))
    monkeypatch.setattr(predict, "run_segmenter", lambda *_: segmenter)
    monkeypatch.setattr(predict, "segmenter_hash", lambda *_: "of the other")
    assert segment(run, photos, method="cam").folder == run.path / "predict-cam"
    assert segment(run, photos).kept == 0


def test_sizes_are_those_that_the_segmenter_was_made_for_unless_given(tmp_path, monkeypatch):
    run = record_classifier(tmp_path / "run")
    add_segmenter(run)
    write_image(tmp_path / "large.jpg", draw_photo((0, 1), size=(300, 400))[0])
    seen = []

    def masks(segmenter, images, *, side, sizes, **_):
        seen.append((images[0].shape[:2], side))
        return [np.zeros(sizes[0], np.uint8)]

    monkeypatch.setattr(predict, "predict_masks", masks)
    for number, (noted, flags, expected) in enumerate(
        (
            ({"work_side": 200, "predict_side": 96}, {}, ((150, 200), 96)),
            ({"work_side": 0, "predict_side": 0}, {}, ((300, 400), 0)),
            ({"work_side": 200, "predict_side": 96}, {"long_side": 100, "side": 0}, ((75, 100), 0)),
        )
    ):
        there = Run.open(run.path)
        there.manifest.stages["train-seg"].settings |= noted
        there.manifest.save(run.path)
        result = segment(Run.open(run.path), tmp_path / "large.jpg", out=tmp_path / f"m{number}", **flags)
        assert seen[-1] == expected
        assert read_mask(result.predicted[0].mask).shape == (300, 400)
