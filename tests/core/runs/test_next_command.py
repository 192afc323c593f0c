"""What a run asks for next: a stage's own command, so that followed literally it goes on with the settings of then."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from recam_cli.core.errors import RunError, UsageError
from recam_cli.core.runs.files import write_text
from recam_cli.core.runs.manifest import Manifest, StageEntry
from recam_cli.core.runs.next_command import command_of, going_on, next_command
from recam_cli.core.runs.plan import RunPlan
from recam_cli.core.runs.run import Run
from recam_cli.core.settings.declare import setting
from recam_cli.core.settings.groups import DATA, MODEL
from recam_cli.core.settings.resolve import resolve


@dataclass(frozen=True, kw_only=True)
class Settings:
    depth: int = setting(1, "Depth.", panel=MODEL)
    data_root: Path | None = setting(None, "Where.", panel=DATA)


def run_of(path, **stages):
    """Make a run of stages (_ for -): the command of one that is done, or (state, command), or with settings, too."""
    found = {}
    for number, (name, given) in enumerate(stages.items()):
        state, command, *settings = given if isinstance(given, tuple) else ("done", given)
        started = f"2026-01-01T00:00:{number:02d}"
        entry = StageEntry(state=state, command=command, settings=dict(*settings), started=started)
        found[name.replace("_", "-")] = entry
    path.mkdir()
    Manifest(created="2026-01-01", stages=found).save(path)
    return Run.open(path)


def keep_snapshot(run, folder):
    write_text(run.path / folder / "snapshots" / "last.safetensors", "kept")


@pytest.fixture
def begun(tmp_path, monkeypatch):
    """Give a function that makes a run of a finished train-cls and further stages, in the current folder."""
    monkeypatch.chdir(tmp_path)
    return lambda **stages: run_of(Path("run"), train_cls="recam train-cls", **stages)


def test_an_unfinished_training_is_begun_by_the_command_that_began_it(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["recam", "train-cls", "--data-root", "my photos"])
    run = Run.create(tmp_path / "run")
    with pytest.raises(UsageError), run.stage("train-cls", resolve(Settings, flags={})):
        raise UsageError("no")
    assert next_command(run) == f"recam train-cls --data-root 'my photos' --run {run.path}"
    with pytest.raises(RunError, match="--data-root 'my photos' --run"):
        run.require("train-cls")


def test_a_stage_that_was_cut_short_keeps_its_settings(begun):
    run = begun(make_seeds=("interrupted", "recam make-seeds --scales 1.0,2.0"))
    assert next_command(run) == "recam make-seeds --scales 1.0,2.0 --run run"
    with pytest.raises(RunError, match=r"Run: recam make-seeds --scales 1\.0,2\.0 --run run"):
        run.require("make-seeds")


def test_a_segmenter_is_resumed_where_there_is_a_snapshot_and_else_trained_as_it_was_begun(begun):
    own = "recam train-seg --epochs 3 --network lraspp"
    run = begun(make_seeds="", make_masks="", train_seg=("running", own))
    assert next_command(run) == f"{own} --run run"
    keep_snapshot(run, "segmenter")
    assert next_command(run) == "recam train-seg --resume --run run"


def test_an_outdated_stage_is_overwritten_with_its_own_settings(begun):
    run = begun(make_seeds="", make_masks="recam make-masks --threshold 0.3 --run=run")
    run.manifest.stages["make-masks"].inputs["make-seeds"] = "another"
    assert next_command(run) == "recam make-masks --threshold 0.3 --run run --overwrite"
    run.manifest.stages["make-masks"].command += " --overwrite"
    assert next_command(run) == "recam make-masks --threshold 0.3 --run run --overwrite"
    run.manifest.stages["make-masks"].command = ""
    assert next_command(run) == "recam make-masks --overwrite --run run"


def test_where_a_part_of_masks_was_cut_short_make_masks_is_run_again(begun):
    own = "recam make-masks --refine irn --irn-epochs 2"
    parts = {"confident_labels": own, "train_irn": ("interrupted", own)}
    assert next_command(begun(make_seeds="", **parts)) == f"{own} --run run"


def test_a_later_part_that_was_cut_short_wins_over_finished_masks(begun):
    own = "recam make-masks --refine irn --overwrite"
    run = begun(make_seeds="", make_masks="recam make-masks --refine none", train_irn=("interrupted", own))
    assert next_command(run) == f"{own} --run run"
    run.manifest.stages["train-irn"].state = "done"
    assert next_command(run) == "recam train-seg --run run"


def test_variants_are_gone_on_with_only_where_they_were_begun_and_cut_short(begun):
    done = {"make_seeds": "", "make_masks": "", "train_seg": ""}
    truth = "recam train-seg --labels truth --epochs 2"
    masks = "recam make-masks --method cam"
    run = begun(**done, make_masks_cam=("interrupted", masks), train_seg_truth=("running", truth))
    assert next_command(run) == "recam make-masks --method cam --run run"
    run.manifest.stages["make-masks-cam"].state = "done"
    assert next_command(run) == f"{truth} --run run"
    keep_snapshot(run, "segmenter-truth")
    assert next_command(run) == "recam train-seg --resume --labels truth --run run"
    run.manifest.stages["train-seg-truth"].state = "failed"  # the run itself is whole without it
    assert next_command(run) == "recam evaluate --of segmentation --run run"


@pytest.mark.parametrize("place", ["--run run", "--run=run", "--run 'other run'"])
def test_a_copied_run_is_gone_on_with_itself(begun, place):
    run = begun(make_seeds=("interrupted", f"recam make-seeds {place} --scales 2"))
    copy = Run(Path("copy"), run.manifest)
    copy.path.mkdir()
    assert next_command(copy) == "recam make-seeds --run copy --scales 2"


def test_from_elsewhere_paths_are_those_that_were_meant(tmp_path, monkeypatch):
    there = tmp_path / "there"
    there.mkdir()
    monkeypatch.chdir(there)
    settings = {"data_root": str(there / "photos"), "weights": str(there / "start.safetensors"), "split": "train"}
    own = "recam train-cls --data-root photos --weights=start.safetensors --split train --download"
    run = run_of(tmp_path / "run", train_cls=("interrupted", own, settings))
    here = next_command(run).removesuffix(f" --run {run.path}")
    assert here == "recam train-cls --data-root photos --weights start.safetensors --split train"
    monkeypatch.chdir(tmp_path)
    assert next_command(run).removesuffix(f" --run {run.path}") == (
        f"recam train-cls --data-root {there}/photos --weights {there}/start.safetensors --split train"
    )
    run.manifest.stages["train-cls"].command = "recam train-cls --dataset voc"  # found at a default place
    assert f"--data-root {there}/photos" in next_command(run)


def test_the_run_that_is_repeated_is_recorded_so_that_it_is_found_from_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run, _ = Run.create(Path("again")), Run.create(Path("then"))
    monkeypatch.setattr(sys, "argv", ["recam", "rerun", "then", "--run", "again"])
    with pytest.raises(KeyboardInterrupt), run.stage("train-cls", resolve(Settings, flags={})):
        raise KeyboardInterrupt
    assert next_command(run) == f"recam rerun {tmp_path}/then --run {tmp_path}/again"


def test_a_config_file_is_recorded_so_that_it_is_found_from_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = Run.create(tmp_path / "run")
    for words in (["--config", "c.toml"], ["--config=c.toml"]):
        monkeypatch.setattr(sys, "argv", ["recam", "make-seeds", *words, "--split", "train"])
        with run.stage("make-seeds", resolve(Settings, flags={})) as entry:
            pass
        assert entry.command.replace("=", " ") == f"recam make-seeds --config {tmp_path}/c.toml --split train"


@pytest.mark.parametrize("command", ["rm -rf ~", "recam train-seg", "recam make-seeds 'open", ""])
def test_of_an_edited_manifest_only_calls_of_the_stage_are_taken(begun, command):
    assert next_command(begun(make_seeds=("interrupted", command))) == "recam make-seeds --run run"


@pytest.mark.parametrize(
    ("command", "named"),
    [
        ("recam rerun v1", "recam rerun v1 --run run"),
        ("recam demo --images 12 --out elsewhere", "recam demo --images 12 --out run"),
        ("recam demo", "recam demo --out run"),
    ],
)
def test_a_stage_of_a_demo_or_a_repetition_goes_on_with_that(begun, command, named):
    run = begun(make_seeds=("interrupted", command))
    assert next_command(run) == named
    run.manifest.stages["make-seeds"].state = "done"
    assert command_of(run, "make-seeds") == "recam make-seeds --run run"


def test_what_a_shell_would_act_on_is_quoted(begun):
    words = shlex.split(next_command(begun(make_seeds=("interrupted", "recam make-seeds ; rm $(x)"))))
    assert words == ["recam", "make-seeds", ";", "rm", "$(x)", "--run", "run"]
    assert "';' rm '$(x)'" in next_command(Run.open(Path("run")))


@pytest.mark.parametrize(
    ("until", "done", "goes_on"),
    [
        ("report", {"make_seeds": ""}, True),
        ("report", {"make_seeds": "", "make_masks": "", "train_seg": ""}, True),
        ("report", {"make_seeds": "", "make_masks": "", "train_seg": "", "report": ""}, False),
        ("make-masks", {"make_seeds": ""}, True),
        ("make-masks", {"make_seeds": "", "make_masks": ""}, False),
    ],
)
def test_a_whole_run_goes_on_by_its_own_command_until_the_last_stage_that_was_asked_for(begun, until, done, goes_on):
    run = begun(**done)
    RunPlan(command=f"recam run photos --until {until}", until=until).save(run.path)
    whole = f"recam run photos --until {until} --run run"
    assert (next_command(run) == whole) == goes_on


def test_after_the_evaluation_or_where_none_is_possible_the_report_comes_next(begun):
    run = begun(make_seeds="", make_masks="", train_seg="")
    assert next_command(run) == "recam evaluate --of segmentation --run run"
    run.manifest.stages["train-seg"].notes["scorable"] = False
    assert next_command(run) == "recam report --run run"
    run.manifest.stages["train-seg"].notes["scorable"] = True
    run.manifest.stages["evaluate-segmentation-val"] = StageEntry(state="done")
    assert next_command(run) == "recam report --run run"
    run.manifest.stages["evaluate-segmentation-val"].inputs["train-seg"] = "an earlier one"
    assert next_command(run) == "recam evaluate --of segmentation --run run"


def test_parts_are_made_by_the_command_they_belong_to(begun):
    run = begun()
    assert command_of(run, "confident-labels-cam") == "recam make-masks --method cam --run run"
    assert command_of(run, "train-seg-truth") == "recam train-seg --labels truth --run run"


def test_an_interrupted_training_is_resumed_in_its_run_only_from_a_snapshot(begun):
    run, words = begun(train_seg_truth=("interrupted", "")), ["recam", "train-seg", "--labels", "truth"]
    assert going_on(words, "train-seg", run.path, "train-seg-truth") == [*words, "--run", "run"]
    keep_snapshot(run, "segmenter-truth")
    assert going_on(words, "train-seg", run.path, "train-seg-truth") == [*words, "--run", "run", "--resume"]
    assert going_on([*words, "--run=run"], "train-seg", run.path, "train-seg") == [*words, "--run=run"]
    assert going_on(["recam", "demo"], "demo", run.path, "train-seg-truth") == ["recam", "demo", "--out", "run"]
