"""What commands take over from the run, and where it stands among the other sources of settings."""

from __future__ import annotations

import pytest

from recam_cli.commands import evaluate, make_seeds, report, train_cls, train_seg
from recam_cli.commands.common import Call
from recam_cli.core.errors import ExitCode, RunError
from recam_cli.core.runs.manifest import StageEntry
from recam_cli.core.runs.run import Run
from recam_cli.core.settings.make_seeds import MakeSeedsSettings
from recam_cli.core.settings.train_seg import TrainSegSettings

NOTHING = {"config": None, "print_config": False}


def _run(path, **splits):
    run = Run.create(path)
    for stage, split in splits.items():
        settings = {"dataset": "voc", "split": split}
        name = stage.replace("_", "-")
        run.manifest.stages[name] = StageEntry(state="done", settings=settings, notes={"preset": "auto"})
    return run


def test_later_stages_work_on_the_split_the_run_was_trained_on_whatever_the_preset_says(tmp_path):
    run = _run(tmp_path / "run", train_cls="train")
    resolved = Call(make_seeds.COMMAND, NOTHING).resolve(MakeSeedsSettings, run=run)
    assert (resolved.settings.split, resolved.sources["split"]) == ("train", "run")
    given = Call(make_seeds.COMMAND, NOTHING | {"split": "val"}).resolve(MakeSeedsSettings, run=run)
    assert (given.settings.split, given.sources["split"]) == ("val", "flag")


def test_the_split_of_the_stage_before_counts(tmp_path):
    run = _run(tmp_path / "run", train_cls="train_aug", make_seeds="train_aug", make_masks="train")
    assert Call(train_seg.COMMAND, NOTHING).resolve(TrainSegSettings, run=run).settings.split == "train"


def test_where_masks_are_made_of_all_photographs_the_segmenter_trains_on_those_of_the_classifier(tmp_path):
    """Else it would be measured on photographs that it was trained on."""
    run = _run(tmp_path / "run", train_cls="train", make_seeds="all", make_masks="all")
    assert Call(train_seg.COMMAND, NOTHING).resolve(TrainSegSettings, run=run).settings.split == "train"


def test_seeds_of_all_photographs_are_made_again_of_all(tmp_path):
    run = _run(tmp_path / "run", train_cls="train", make_seeds="all")
    assert Call(make_seeds.COMMAND, NOTHING).resolve(MakeSeedsSettings, run=run).settings.split == "all"


@pytest.mark.parametrize("command", [make_seeds.COMMAND, evaluate.COMMAND, report.COMMAND, train_seg.COMMAND])
@pytest.mark.parametrize(
    "wrong",
    [{"data_root": ["photos"]}, {"dataset": "none"}, {"max_pixels": -1}, {"preset": "x"}, {"preset": []}],
    ids=str,
)
def test_a_recorded_value_of_the_wrong_kind_is_the_manifests_fault_and_no_options(tmp_path, command, wrong):
    run = _run(tmp_path / "run", train_cls="train")
    entry = run.manifest.stages["train-cls"]
    (entry.notes if "preset" in wrong else entry.settings).update(wrong)
    with pytest.raises(RunError, match=rf"manifest\.json: recorded {next(iter(wrong))}: .*Restore the file") as caught:
        Call(command, NOTHING).resolve(command.settings, run=run)
    assert caught.value.exit_code == ExitCode.BAD_RUN


def test_a_training_that_goes_on_names_the_manifest_too(tmp_path):
    run = _run(tmp_path / "run", train_cls="train")
    run.manifest.stages["train-cls"].state = "failed"
    run.manifest.stages["train-cls"].settings["epochs"] = "many"
    run.manifest.save(run.path)
    with pytest.raises(RunError, match=r"manifest\.json: recorded epochs: 'many' is not a whole number"):
        train_cls.COMMAND.execute(Call(train_cls.COMMAND, NOTHING | {"resume": True, "run": run.path}))
