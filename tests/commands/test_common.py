"""What commands take over from the run, and where it stands among the other sources of settings."""

from __future__ import annotations

from recam_cli.commands import make_seeds, train_seg
from recam_cli.commands.common import Call
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
