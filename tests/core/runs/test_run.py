"""Run directories: created once, found again, locked, and truthful in their manifest."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass

import pytest

from recam_cli.core.errors import ExitCode, ResourceError, RunError, UsageError
from recam_cli.core.runs.files import sha256_of, write_text
from recam_cli.core.runs.manifest import Manifest
from recam_cli.core.runs.run import Run, newest_run, result_settings, stage_fingerprint
from recam_cli.core.settings.declare import setting
from recam_cli.core.settings.groups import HARDWARE, MODEL
from recam_cli.core.settings.resolve import resolve
from tests.helpers.leftovers import left_beside


@dataclass(frozen=True, kw_only=True)
class Settings:
    depth: int = setting(1, "Depth.", panel=MODEL)
    workers: int = setting(2, "Workers.", panel=HARDWARE)


def _resolved(**flags):
    return resolve(Settings, flags=flags)


def test_a_stage_is_recorded_with_settings_sources_inputs_and_state(tmp_path):
    run = Run.create(tmp_path / "run")
    with run.stage("train-cls", _resolved(depth=4), inputs={"data": "abc"}) as entry:
        assert Manifest.load(run.path).stages["train-cls"].state == "running"
        write_text(run.path / "out.txt", "hello")
        entry.outputs["out"] = run.output_of_file(run.path / "out.txt")
        entry.metrics["map"] = 12.5
    found = Run.open(run.path).require("train-cls")
    assert found.state == "done"
    assert found.settings == {"depth": 4, "workers": 2}
    assert found.sources == {"depth": "flag", "workers": "default"}
    assert found.inputs == {"data": "abc"}
    assert found.outputs["out"].sha256 == sha256_of(run.path / "out.txt")
    assert found.versions["torch"]
    assert "make-seeds" in Run.open(run.path).manifest.next_command


@pytest.mark.parametrize(("error", "state"), [(UsageError("no"), "failed"), (KeyboardInterrupt(), "interrupted")])
def test_a_stage_that_does_not_finish_is_recorded_as_such(tmp_path, error, state):
    run = Run.create(tmp_path / "run")
    with pytest.raises(type(error)), run.stage("train-cls", _resolved()):
        raise error
    assert Run.open(run.path).manifest.stages["train-cls"].state == state
    with pytest.raises(RunError, match="has not finished"):
        Run.open(run.path).require("train-cls")


def test_a_stage_that_lacks_memory_says_so_here_and_in_the_manifest(tmp_path):
    run = Run.create(tmp_path / "run")
    with (
        pytest.raises(ResourceError, match=r"^train-cls: not enough memory\. Use a smaller") as caught,
        run.stage("train-cls", _resolved()),
    ):
        raise MemoryError
    entry = Run.open(run.path).manifest.stages["train-cls"]
    assert (entry.state, entry.error) == ("failed", str(caught.value))


def test_the_fingerprint_follows_what_changes_results_only():
    base = stage_fingerprint("s", Settings(), {"data": "1"})
    assert stage_fingerprint("s", Settings(workers=9), {"data": "1"}) == base
    assert stage_fingerprint("s", Settings(depth=2), {"data": "1"}) != base
    assert stage_fingerprint("s", Settings(), {"data": "2"}) != base
    assert result_settings(Settings(), {"data": "1"}) == {"depth": 1, "data": "1"}


def test_a_folder_with_something_in_it_is_never_made_a_run(tmp_path):
    with Run.create(tmp_path / "run").stage("train-cls", _resolved()):
        pass
    with pytest.raises(RunError, match="a run already"):
        Run.create(tmp_path / "run")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.doc").touch()
    with pytest.raises(RunError, match="other than a run"):
        Run.create(tmp_path / "other")


def test_the_newest_run_is_the_one_written_last(tmp_path):
    assert newest_run(tmp_path) is None
    first = Run.create(tmp_path / "b")
    Run.create(tmp_path / "a")
    assert newest_run(tmp_path) == tmp_path / "a"
    with first.stage("train-cls", _resolved()):
        pass
    assert Run.open(None, root=tmp_path).path == first.path


def test_a_second_process_is_turned_away_at_once(tmp_path):
    run = Run.create(tmp_path / "run")
    code = (
        "from pathlib import Path; from recam_cli.core.runs.lock import locked\n"
        f"with locked(Path({str(run.path)!r})): pass"
    )
    with run.stage("train-cls", _resolved()):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "in use by process" in done.stderr
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema_version": 99}', '{"stages": {"a": 3}}', '{"x": 1}'])
def test_damaged_manifests_exit_4_and_are_named(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(RunError, match=r"manifest\.json") as caught:
        Run.open(tmp_path)
    assert caught.value.exit_code == ExitCode.BAD_RUN


def test_log_lines_are_whole_json(tmp_path):
    run = Run.create(tmp_path / "run")
    run.log(step=1, loss=0.5)
    run.log(step=2, loss=0.25)
    lines = (run.path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2]


def _fail(run):
    with pytest.raises(UsageError), run.stage("train-cls", _resolved()):
        write_text(run.path / "classifier" / "cam.safetensors", "half")
        raise UsageError("no")


def test_a_run_whose_training_never_finished_is_begun_anew_and_nothing_of_it_lost(tmp_path):
    _fail(Run.create(tmp_path / "run"))
    for serial in (1, 2):
        again = Run.create(tmp_path / "run")
        assert again.set_aside == tmp_path / "run" / f"unfinished-{serial}"
        assert (again.set_aside / "classifier" / "cam.safetensors").read_text() == "half"
        assert Manifest.load(again.set_aside).stages["train-cls"].state == "failed"
        assert Manifest.load(again.path).stages == {}
        assert not (again.path / "classifier").exists()
        _fail(again)


def test_a_run_that_was_killed_before_its_first_stage_is_begun_as_if_it_were_not_there(tmp_path):
    run = Run.create(tmp_path / "run")
    left_beside(run.path / "manifest.json").write_text("{")
    (run.path / "run.lock").touch()
    again = Run.create(tmp_path / "run")
    assert (again.set_aside, again.manifest.stages) == (None, {})
    (run.path / "manifest.json").unlink()
    assert Run.create(tmp_path / "run").set_aside is None
    (run.path / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match="holds a run already"):
        Run.create(tmp_path / "run")


def test_a_training_that_still_goes_on_is_not_begun_anew(tmp_path):
    run = Run.create(tmp_path / "run")
    with run.stage("train-cls", _resolved()), pytest.raises(RunError, match="in use"):
        Run.create(tmp_path / "run")
    assert Run.open(run.path).require("train-cls")


def test_a_stage_is_outdated_once_an_earlier_one_was_done_anew_with_other_settings(tmp_path):
    run = Run.create(tmp_path / "run")
    before = ""
    for stage, depth in (("train-cls", 1), ("make-seeds", 1), ("make-masks", 1), ("train-seg", 1), ("make-seeds", 2)):
        source = run.entry(before)
        inputs = {before: source.fingerprint} if source is not None and stage != "make-seeds" else {"data": "abc"}
        with run.stage(stage, _resolved(depth=depth), inputs=inputs):
            pass
        before = stage
    assert run.outdated("make-masks") == run.outdated("train-seg") == "make-seeds"
    assert run.outdated("make-seeds") is run.outdated("train-cls") is run.outdated("never-run") is None


def test_a_run_that_vanishes_while_a_stage_works_in_it_is_told_and_not_written_anew(tmp_path):
    run = Run.create(tmp_path / "run")
    with pytest.raises(RunError, match="run was removed or replaced"), run.stage("train-cls", _resolved()):
        shutil.rmtree(run.path)
    assert not run.path.exists()
    run = Run.create(tmp_path / "run")
    with pytest.raises(RunError, match="was removed or replaced"), run.stage("train-cls", _resolved()):
        run.path.rename(tmp_path / "elsewhere")
        run.log(step=1)
    assert not run.path.exists()


def test_a_run_or_log_that_cannot_be_written_is_a_run_error(tmp_path):
    run = Run.create(tmp_path / "run")
    (run.path / "run.lock").mkdir()
    with pytest.raises(RunError, match="cannot be written"), run.stage("train-cls", _resolved()):
        pass
    (run.path / "metrics.jsonl").mkdir()
    with pytest.raises(RunError, match=r"cannot write .*metrics\.jsonl"):
        run.log(step=1)


def test_a_finished_training_is_not_resumed_and_the_command_named_is_of_this_run(tmp_path):
    from recam_cli.stages.resuming import require_begun

    run = Run.create(tmp_path / "run")
    with run.stage("train-cls", _resolved()):
        pass
    with pytest.raises(RunError, match=rf"has finished\. Go on with: recam make-seeds --run {run.path}$"):
        require_begun(run, "train-cls")
