"""demo: from nothing to figures, pictures and a report, all stages recorded in one run."""

from __future__ import annotations

import json
import shutil
import signal

import numpy as np
import pytest

from recam_cli.core.data.images import read_image
from recam_cli.core.data.samples import ImageSet, Sample
from recam_cli.core.data.shapes import write
from recam_cli.core.errors import RunError
from recam_cli.core.report.comparison import telling_samples
from recam_cli.core.reporter import SilentReporter
from recam_cli.core.runs.run import Run
from recam_cli.core.settings.demo import DemoSettings
from recam_cli.core.settings.resolve import resolve
from recam_cli.core.signals import Interrupted
from recam_cli.core.training.loop import Loop
from recam_cli.stages import demo, make_seeds, report
from tests.helpers.tiny_run import make_run

TINY = {"images": 3, "val_images": 2, "pictures": 2, "workers": 0}
QUICK = {
    "train-cls": {
        "epochs": 1,
        "recam_epochs": 1,
        "crop": 32,
        "long_side": (32, 48),
        "weights": "none",
        "backbone": "mobilenet_v2",
    },
    "make-seeds": {"scales": (0.5,)},
    "make-masks": {"workers": 0, "threshold": "0.3"},
    "train-seg": {"epochs": 1, "crop": 32, "init": "none", "workers": 0},
    "report": {"images": 1},
}


def settings(out, **flags):
    return resolve(DemoSettings, flags={**TINY, "out": out, **flags})


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo") / "first"
    return demo.run(settings(out), SilentReporter(), changes=QUICK)


def test_every_stage_is_scored_and_timed(made):
    names = [row.name for row in made.rows]
    assert names == [
        "images",
        "classifier",
        "CAM seeds",
        "ReCAM seeds",
        "CAM masks",
        "ReCAM masks",
        "segmentation",
    ]
    for row in made.rows[2:]:
        assert 0 <= (row.best if row.miou is None else row.miou) <= 100
        assert row.seconds >= 0
    assert made.seconds >= sum(row.seconds for row in made.rows) - 1
    json.dumps(made.as_dict(), allow_nan=False)


def test_the_run_holds_all_stages_for_further_commands(made):
    stages = Run.open(made.run).manifest.stages
    for stage in ("train-cls", "make-seeds", "make-seeds-cam", "make-masks", "make-masks-cam", "train-seg"):
        assert stages[stage].state == "done"
    assert stages["train-cls"].settings["data_root"] == str(made.data)
    assert stages["train-cls"].sources["lr"] in ("preset", "default")


def test_pictures_and_report_are_written(made):
    sheet = read_image(made.sheet)
    assert sheet.shape[1] > 7 * 170
    assert sheet.std() > 20
    assert made.report.is_file()


def test_an_existing_folder_is_left_alone(made, tmp_path):
    with pytest.raises(RunError, match="exists already"):
        demo.run(settings(made.run), SilentReporter())
    (tmp_path / "new-data").mkdir()
    with pytest.raises(RunError, match="new-data exists already"):
        demo.run(settings(tmp_path / "new"), SilentReporter())


def cut_short(monkeypatch, where, name, at):
    """Let the `at`-th call of a function raise what a signal does."""
    original, calls = getattr(where, name), []

    def counted(*arguments, **named):
        calls.append(arguments)
        if len(calls) == at:
            raise Interrupted(signal.SIGINT)
        return original(*arguments, **named)

    monkeypatch.setattr(where, name, counted)


@pytest.mark.parametrize(
    ("where", "name", "at"),
    [
        pytest.param(write, "write_mask", 4, id="drawing"),
        pytest.param(Loop, "_step", 2, id="train-cls"),
        pytest.param(make_seeds, "write_seed", 4, id="make-seeds", marks=pytest.mark.slow),
        pytest.param(Loop, "_step", 3, id="train-seg", marks=pytest.mark.slow),
        pytest.param(report, "run", 1, id="report", marks=pytest.mark.slow),
    ],
)
def test_an_interrupted_demo_goes_on_and_ends_the_same(made, tmp_path, monkeypatch, where, name, at):
    out = tmp_path / "first"
    with monkeypatch.context() as patched, pytest.raises(Interrupted):
        cut_short(patched, where, name, at)
        demo.run(settings(out), SilentReporter(), changes=QUICK)
    with pytest.raises(RunError, match="exists already"):
        demo.run(settings(out, seed=1), SilentReporter(), changes=QUICK)
    again = demo.run(settings(out), SilentReporter(), changes=QUICK)
    assert [(row.name, row.miou, row.best) for row in again.rows] == [(r.name, r.miou, r.best) for r in made.rows]
    for suffix in ("safetensors", "png", "npz"):
        files = {path.relative_to(made.run) for path in made.run.rglob(f"*.{suffix}")}
        assert files == {path.relative_to(out) for path in out.rglob(f"*.{suffix}")} != set()
        assert all((made.run / file).read_bytes() == (out / file).read_bytes() for file in files)


def test_a_run_beside_the_same_images_that_is_no_demo_is_left_alone(made, tmp_path):
    shutil.copytree(made.data, tmp_path / "run-data")
    make_run(tmp_path)
    with pytest.raises(RunError, match="run exists already"):
        demo.run(settings(tmp_path / "run"), SilentReporter(), changes=QUICK)


def test_the_sheet_prefers_images_of_two_labels_and_shows_each_class_first_once(tmp_path):
    labels = [(0,), (0, 1), (0, 2), (1, 2), (0, 1, 2), (1, 2)]
    samples = tuple(Sample(f"i{n}", tmp_path / f"{n}.jpg", found) for n, found in enumerate(labels))
    images = ImageSet("shapes", tmp_path, "train", ("a", "b", "c"), samples)
    assert [s.id for s in telling_samples(images, 3)] == ["i1", "i3", "i2"]
    assert {s.id for s in telling_samples(images, 99)} == {s.id for s in samples}
    assert np.array_equal([len(s.labels) for s in telling_samples(images, 4)], [2, 2, 2, 2])
