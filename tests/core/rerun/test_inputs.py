"""What a run was made of and measured on is compared with what is there now, by name, before anything is repeated."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from recam_cli.core.data.images import read_mask, write_image, write_mask
from recam_cli.core.errors import RunError
from recam_cli.core.reporter import SilentReporter
from recam_cli.core.rerun.inputs import changes_of
from recam_cli.core.rerun.steps import steps_of
from recam_cli.core.runs.run import Run
from recam_cli.core.settings.rerun import RerunSettings
from recam_cli.core.settings.resolve import resolve
from recam_cli.core.settings.train_seg import TrainSegSettings
from recam_cli.stages import rerun, train_seg
from tests.helpers.tiny_run import evaluate_run, make_run

SEGMENTER = {"dataset": "custom", "labels": "truth", "network": "lraspp", "stride": "16", "init": "none", "epochs": 1}
SEGMENTER |= {"batch_size": 2, "crop": 32, "flip": False, "device": "cpu", "precision": "fp32", "workers": 0}
TRAIN, VAL = "img_000", "img_005"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Give a run of a classifier, masks, a segmenter of true masks and both evaluated."""
    root = tmp_path_factory.mktemp("made")
    run = make_run(root, method="cam")
    flags = {**SEGMENTER, "data_root": root / "data"}
    train_seg.run(resolve(TrainSegSettings, flags=flags), run, SilentReporter())
    evaluate_run(run, of="masks")
    evaluate_run(run, of="segmentation", method="truth")
    return root


@pytest.fixture
def data(made, tmp_path):
    return shutil.copytree(made / "data", tmp_path / "data")


@pytest.fixture
def run(made, data, tmp_path):
    """Give a copy of the run that was made from the copied data."""
    run = Run.open(shutil.copytree(made / "run", tmp_path / "run"))
    for entry in run.manifest.stages.values():
        entry.settings["data_root"] = str(data)
    run.manifest.save(run.path)
    return run


def changes(run):
    hashes = {}
    return [change.split(" changed since")[0] for step in steps_of(run) for change in changes_of(step, hashes)]


def repaint(path):
    write_image(path, np.full((40, 48, 3), 90, np.uint8))


def test_nothing_is_told_where_nothing_has_changed(run):
    assert changes(run) == []


def test_a_changed_held_out_image_is_told_though_no_weight_depends_on_it(run, data):
    repaint(data / "JPEGImages" / f"{VAL}.jpg")
    assert changes(run) == ["the held-out images of train-cls (val)", "the held-out images of train-seg-truth (val)"]
    message = r"held-out images of train-cls \(val\) changed since, .*--allow-changed"
    with pytest.raises(RunError, match=message) as caught:
        rerun.run(resolve(RerunSettings, flags={}), run.path, None, SilentReporter())
    assert caught.value.exit_code == 4
    assert not run.path.with_name("run-rerun").exists()


@pytest.mark.parametrize(
    ("image", "told"),
    [
        (VAL, ["the true masks of evaluate-segmentation-truth-val (val)"]),
        (TRAIN, ["the true masks of train-seg-truth", "the true masks of evaluate-masks-train (train)"]),
    ],
)
def test_changed_true_masks_are_told_of_each_evaluation(run, data, image, told):
    path = data / "SegmentationClass" / f"{image}.png"
    mask = read_mask(path)
    mask[3, 4] = 2 if mask[3, 4] != 2 else 1
    write_mask(path, mask)
    assert changes(run) == told


def test_a_held_out_split_that_has_gone_is_told(run, data):
    (data / "ImageSets" / "Segmentation" / "val.txt").unlink()
    told = changes(run)
    assert [line.split(" (val) cannot be read")[0] for line in told] == [
        "the held-out images of train-cls",
        "the held-out images of train-seg-truth",
        "the true masks of evaluate-segmentation-truth-val",
    ]


def test_of_a_run_that_does_not_say_what_it_was_measured_on_nothing_more_is_asked(run, data):
    for entry in run.manifest.stages.values():
        entry.notes.pop("measured on", None)
    repaint(data / "JPEGImages" / f"{VAL}.jpg")
    assert changes(run) == []
