"""Stages that make a file per image: killed anywhere and run again, the set is that of an uninterrupted run."""

from __future__ import annotations

import shutil

import pytest

from tests.helpers.crash import MOMENTS
from tests.helpers.kills import drive, left_by
from tests.helpers.tiny_data import make_custom
from tests.helpers.tiny_run import add_segmenter, make_run

CPU = ["--device", "cpu", "--precision", "fp32", "--workers", 0, "--run", "run"]
WALK = ["--irn-epochs", 1, "--irn-batch-size", 2, "--irn-crop", 32, "--irn-radius", 3, "--walk-steps", 4]
STAGES = {
    "make-seeds": (["make-seeds", "--scales", "1,0.5"], "seeds"),
    "make-masks by cuts": (["make-masks", "--refine", "none", "--threshold", 0.3], "masks"),
    "make-masks by CRF": (["make-masks", "--refine", "crf", "--threshold", 0.3], "masks"),
    "make-masks by walks": (["make-masks", "--refine", "irn", "--threshold", 0.3, *WALK], "walked"),
    "train-seg's predictions": (
        ["train-seg", "--labels", "truth", "--network", "lraspp", "--init", "none", "--epochs", 1, "--crop", 32],
        "predictions-truth",
    ),
    "predict": (["predict", "photos"], "predict"),
}
"""By stage: its command, and the folder of its items."""


def command_of(stage):
    return [*STAGES[stage][0], *CPU]


def resumed(stage):
    """Return the command that goes on with the stage."""
    return ["train-seg", "--resume", "--run", "run"] if "train-seg" in stage else command_of(stage)


def prepare(root):
    """Make a run below `root` with a classifier, seeds, masks and an untrained segmenter; six images to train on."""
    run = make_run(root, images=9)
    add_segmenter(run)
    shutil.copytree(make_custom(root / "more", 9) / "JPEGImages", root / "photos")
    return root


def begin(prepared, folder, stage):
    """Give `folder` what the stage works on, without what it makes."""
    shutil.copytree(prepared / "run", folder / "run")
    shutil.copytree(prepared / "photos", folder / "photos")
    for name in ("seeds", "masks", "confidence")[0 if stage == "make-seeds" else 1 :]:
        shutil.rmtree(folder / "run" / name)
    return folder


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return prepare(tmp_path_factory.mktemp("prepared"))


def items(folder, stage):
    """Return the items that are there, and when each was made."""
    found = (folder / "run" / STAGES[stage][1]).rglob("*")
    return {p.name: p.stat().st_mtime_ns for p in found if p.suffix in (".png", ".npz")}


@pytest.mark.parametrize(
    ("stage", "kills"),
    [
        ("make-seeds", [("half", 3), ("replaced", 2)]),
        ("make-masks by cuts", [("half", 3)]),
        ("make-masks by CRF", [("synced", 4)]),
        pytest.param("make-masks by walks", [("written", 3), ("half", 2)], marks=pytest.mark.slow),
        pytest.param("train-seg's predictions", [("half", 3)], marks=pytest.mark.slow),
        ("predict", [("half", 3), ("replaced", 2)]),
    ],
)
def test_killed_within_a_write_and_run_again_the_set_is_whole_and_nothing_is_made_twice(
    prepared, tmp_path, stage, kills
):
    whole, killed = (begin(prepared, tmp_path / name, stage) for name in ("whole", "killed"))
    assert drive(whole, *command_of(stage)).code == 0
    command, folder, made = command_of(stage), STAGES[stage][1], {}
    for moment, at in kills:
        assert drive(killed, *command, kill_at=at, moment=moment, within=folder).killed
        left = items(killed, stage)
        assert made.items() <= left.items()
        made, command = left, resumed(stage)
    assert 0 < len(made) < len(items(whole, stage))

    assert drive(killed, *command).code == 0

    assert made.items() <= items(killed, stage).items()  # none of them was made again
    assert left_by(killed / "run") == left_by(whole / "run")
    assert [p.name for p in killed.rglob("*.partial")] == []


@pytest.mark.slow
@pytest.mark.parametrize("moment", [moment for moment in MOMENTS if moment != "folder synced"])
def test_every_moment_of_the_first_writes_is_survived_by_seeds(prepared, tmp_path, moment):
    whole, killed = (begin(prepared, tmp_path / name, "make-seeds") for name in ("whole", "killed"))
    command = command_of("make-seeds")
    assert drive(whole, *command).code == 0
    for at in (1, 2, 3):  # the manifest, the note of the settings, the first seed
        assert drive(killed, *command, kill_at=at, moment=moment).killed
    assert drive(killed, *command).code == 0
    assert left_by(killed / "run") == left_by(whole / "run")


def test_items_of_other_settings_are_never_mixed_with_those_that_a_kill_left(prepared, tmp_path):
    folder = begin(prepared, tmp_path / "folder", "make-seeds")
    assert drive(folder, *command_of("make-seeds"), kill_at=3, moment="half", within="seeds").killed
    before = items(folder, "make-seeds")
    ended = drive(folder, *command_of("make-seeds"), "--scales", "1")
    assert (ended.code, "scales" in ended.text) == (4, True)
    assert items(folder, "make-seeds") == before
