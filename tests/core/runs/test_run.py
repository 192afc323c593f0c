"""Run directories: created once, found again, locked, and truthful in their manifest."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass

import pytest

from recam_cli.core.errors import ExitCode, RunError, UsageError
from recam_cli.core.runs.files import atomic_file, sha256_of, write_json, write_text
from recam_cli.core.runs.manifest import Manifest
from recam_cli.core.runs.run import Run, newest_run, result_settings, stage_fingerprint
from recam_cli.core.settings.declare import setting
from recam_cli.core.settings.groups import HARDWARE, MODEL
from recam_cli.core.settings.resolve import resolve


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


def test_the_fingerprint_follows_what_changes_results_only():
    base = stage_fingerprint("s", Settings(), {"data": "1"})
    assert stage_fingerprint("s", Settings(workers=9), {"data": "1"}) == base
    assert stage_fingerprint("s", Settings(depth=2), {"data": "1"}) != base
    assert stage_fingerprint("s", Settings(), {"data": "2"}) != base
    assert result_settings(Settings(), {"data": "1"}) == {"depth": 1, "data": "1"}


def test_a_folder_with_something_in_it_is_never_made_a_run(tmp_path):
    Run.create(tmp_path / "run")
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


def test_an_interrupted_write_leaves_the_old_file_and_no_rest(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(KeyboardInterrupt), atomic_file(path) as file:
        file.write(b"new, but cut")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_folder_that_cannot_be_written_is_a_run_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="cannot write"):
        write_text(tmp_path / "file" / "a.txt", "x")


def test_json_is_never_nan(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", float("nan"))
    assert not (tmp_path / "a.json").exists()


def test_log_lines_are_whole_json(tmp_path):
    run = Run.create(tmp_path / "run")
    run.log(step=1, loss=0.5)
    run.log(step=2, loss=0.25)
    lines = (run.path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2]
