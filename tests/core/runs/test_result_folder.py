"""A folder that the user names for results: what is theirs in it stays."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from recam_cli.core.errors import ExitCode, UsageError
from recam_cli.core.runs import result_folder
from recam_cli.core.runs.result_folder import LIST_NAME, ResultFolder

CONTENTS = {"curves.png": b"curves", "report.html": b"page"}


def outside(path):
    return ResultFolder.at(path, None)


@pytest.mark.parametrize("kind", ["file", "edited", "folder", "link"])
def test_a_file_that_recam_did_not_write_is_refused_by_name_and_nothing_is_written(tmp_path, kind):
    place = tmp_path / "curves.png"
    if kind == "edited":
        outside(tmp_path).write({"curves.png": b"curves"})
        place.write_bytes(b"curves, and my notes")
    elif kind == "folder":
        place.mkdir()
    elif kind == "link":
        place.symlink_to(tmp_path / "gone")
    else:
        place.write_bytes(b"a holiday")
    before = {path.name for path in tmp_path.iterdir()}
    with pytest.raises(UsageError, match=r"curves\.png holds something other than what recam wrote.*--out") as caught:
        outside(tmp_path).write(CONTENTS)
    assert caught.value.exit_code == ExitCode.USAGE
    assert {path.name for path in tmp_path.iterdir()} == before


def test_what_recam_wrote_there_is_replaced_even_in_a_copy_of_the_folder(tmp_path):
    outside(tmp_path / "a").write(CONTENTS)
    outside(tmp_path / "a").write({"curves.png": b"other curves"})
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    outside(tmp_path / "b").write(dict.fromkeys(CONTENTS, b"new"))
    assert {(tmp_path / "b" / name).read_bytes() for name in CONTENTS} == {b"new"}


@pytest.mark.parametrize("written", [0, 1])
def test_after_a_kill_between_two_files_the_next_call_replaces_both(tmp_path, monkeypatch, written):
    outside(tmp_path).write(CONTENTS)
    write, left = result_folder.write_bytes, [1 + written]  # the list comes first

    def write_or_die(path, data):
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        write(path, data)

    monkeypatch.setattr(result_folder, "write_bytes", write_or_die)
    with pytest.raises(KeyboardInterrupt):
        outside(tmp_path).write(dict.fromkeys(CONTENTS, b"killed"))
    monkeypatch.undo()
    outside(tmp_path).write(dict.fromkeys(CONTENTS, b"new"))
    assert {(tmp_path / name).read_bytes() for name in CONTENTS} == {b"new"}


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="no sha256sum here")
def test_the_list_is_one_that_sha256sum_reads(tmp_path):
    outside(tmp_path).write(CONTENTS)
    outside(tmp_path).write({"curves.png": b"other curves", "naïve.csv": b"1"})
    done = subprocess.run(["sha256sum", "--check", "--strict", LIST_NAME], cwd=tmp_path, check=False)
    assert done.returncode == 0
    assert len((tmp_path / LIST_NAME).read_bytes().splitlines()) == 3


def test_within_a_run_all_files_are_recams_and_no_list_is_kept(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "run", target_is_directory=True)
    folder = ResultFolder.at(tmp_path / "link" / "evaluation", tmp_path / "run")
    for data in (b"1", b"2"):
        assert folder.write({"a.csv": data})[0].read_bytes() == data
    assert [path.name for path in folder.path.iterdir()] == ["a.csv"]
