"""Where the files to score lie, of which split, and what is known about them."""

from __future__ import annotations

import pytest

from recam_cli.core.errors import RunError
from recam_cli.core.metrics.sources import Source, label_free_threshold
from recam_cli.core.runs.manifest import StageEntry
from recam_cli.core.runs.run import Run
from tests.helpers.scoring import scored_set


@pytest.fixture
def run(tmp_path):
    return Run.create(tmp_path / "run")


def record(run, stage, *, state="done", **values):
    run.manifest.stages[stage] = StageEntry(state=state, **values)


@pytest.mark.parametrize(
    ("made", "scored"), [("train", "train"), ("mine", "mine"), ("train_aug", "train"), (None, "train")]
)
def test_without_a_split_the_one_the_files_were_made_of_is_scored(run, made, scored):
    record(run, "make-seeds", settings={"split": made})
    assert Source.find(run, "seeds", "run", None).split == scored


@pytest.mark.parametrize(("made", "scored"), [("val", "val"), ("test", "test"), ("none", "val")])
def test_predictions_are_those_of_the_split_that_was_predicted(run, made, scored):
    record(run, "train-seg", settings={"split": "train", "predict_split": made})
    source = Source.find(run, "segmentation", "run", None)
    assert source.split == scored and source.folder == run.path / "predictions" / scored


def test_the_command_for_missing_files_names_the_split_they_lack(run, tmp_path):
    images, _ = scored_set(tmp_path / "data")
    record(run, "make-masks", settings={"split": "train"})
    with pytest.raises(RunError, match=r"recam make-masks --run .* --split val"):
        Source.find(run, "masks", "run", "val").pairs(images)
    with pytest.raises(RunError) as caught:
        Source.find(run, "masks", "run", "train").pairs(images)
    assert "--split" not in str(caught.value)


def test_a_threshold_chosen_on_other_seeds_does_not_count(run):
    notes = {"threshold": 0.4, "threshold_chosen": "label-free"}
    record(run, "make-seeds", fingerprint="old")
    record(run, "make-masks", notes=notes, inputs={"make-seeds": "old"})
    assert label_free_threshold(run, "") == 0.4
    record(run, "make-seeds", fingerprint="new")
    assert label_free_threshold(run, "") is None


def test_files_of_an_unfinished_or_outdated_stage_are_told(run):
    source = Source.find(run, "masks", "run", "train")
    assert source.fault(run) is None and source.inputs(run) == {}
    record(run, "make-seeds", fingerprint="new")
    record(run, "make-masks", fingerprint="abc", inputs={"make-seeds": "new"})
    assert source.fault(run) is None and source.inputs(run) == {"make-masks": "abc"}
    record(run, "make-masks", inputs={"make-seeds": "old"})
    assert "before make-seeds was done anew" in source.fault(run)
    record(run, "make-masks", state="failed")
    assert "has not finished (failed)" in source.fault(run)
