"""A file appears whole or not at all, whenever the process, the disk or the folder goes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from recam_cli.core.errors import ExitCode, RunError
from recam_cli.core.runs import files
from recam_cli.core.runs.files import append_line, atomic_file, write_bytes, write_json, write_text
from recam_cli.core.runs.leftovers import sweep
from tests.helpers.crash import MOMENTS
from tests.helpers.small_disk import small_disk

OLD, NEW = b"old " * 5000, b"new " * 9000


def write_and_die(path: Path, moment: str) -> int:
    code = (
        "import sys; from pathlib import Path; from recam_cli.core.runs.files import write_bytes\n"
        "from tests.helpers.crash import arm\n"
        f"arm(sys.argv[2], 1); write_bytes(Path(sys.argv[1]), {NEW[:4]!r} * 9000)"
    )
    root = Path(__file__).parents[3]
    return subprocess.run([sys.executable, "-c", code, str(path), moment], cwd=root, check=False).returncode


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_at_any_moment_of_a_write_the_file_is_the_old_or_the_new_one(tmp_path, moment, there):
    path = tmp_path / "mask.png"
    if there:
        path.write_bytes(OLD)

    assert write_and_die(path, moment) == -signal.SIGKILL

    renamed = MOMENTS.index(moment) >= MOMENTS.index("replaced")
    assert (path.read_bytes() if path.exists() else None) == (NEW if renamed else OLD if there else None)
    leftovers = [p for p in tmp_path.iterdir() if p != path]
    assert len(leftovers) == (0 if renamed else 1)  # the kill landed within the write
    sweep(tmp_path)
    write_bytes(path, NEW)
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [NEW]


def test_a_name_that_is_too_long_is_told_with_a_remedy_that_helps(tmp_path):
    with pytest.raises(RunError, match=r"File name too long\. Choose a shorter name$"):
        write_bytes(tmp_path / ("n" * 256), NEW)
    assert list(tmp_path.iterdir()) == []


def test_the_temporary_file_is_on_disk_before_it_takes_the_name_and_the_name_after(tmp_path, monkeypatch):
    order = []
    for step in ("_open_new", "_sync_file", "_take_place", "_sync_folder"):
        original = getattr(files, step)
        monkeypatch.setattr(files, step, lambda *a, step=step, original=original: (order.append(step), original(*a))[1])
    synced = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (synced.append(os.fstat(handle).st_ino), fsync(handle)))

    write_text(tmp_path / "a.txt", "text")

    assert order == ["_open_new", "_sync_file", "_take_place", "_sync_folder"]
    assert synced == [(tmp_path / "a.txt").stat().st_ino, tmp_path.stat().st_ino]


def test_a_new_folder_is_synced_into_the_one_above(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(files, "_sync_folder", lambda folder: synced.append(folder))
    write_text(tmp_path / "a" / "b" / "c.txt", "text")
    assert synced == [tmp_path, tmp_path / "a", tmp_path / "a" / "b"]


def test_an_interrupted_write_leaves_the_old_file_and_no_rest(tmp_path):
    path = tmp_path / "mask.png"
    write_text(path, "old")
    with pytest.raises(KeyboardInterrupt), atomic_file(path) as file:
        file.write(b"half of the new")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["mask.png"]


def test_a_full_disk_ends_with_one_line_and_what_was_written_before_stays(tmp_path):
    with small_disk(tmp_path, kilobytes=64) as disk:
        path = disk / "seeds" / "a.npz"
        write_bytes(path, b"a" * 20_000)
        with pytest.raises(RunError, match=r"cannot write .*a\.npz: No space left on device\. Free space") as caught:
            write_bytes(path, b"b" * 200_000)
        assert caught.value.exit_code == ExitCode.BAD_RUN
        assert path.read_bytes() == b"a" * 20_000
        assert [p.name for p in path.parent.iterdir()] == ["a.npz"]


def test_a_log_on_a_full_disk_keeps_its_whole_lines_only(tmp_path):
    with small_disk(tmp_path, kilobytes=64) as disk:
        log = disk / "metrics.jsonl"
        with pytest.raises(RunError, match=r"cannot write .*metrics\.jsonl: No space left"):
            for step in range(1000):
                append_line(log, f'{{"step": {step}, "text": "{"x" * 900}"}}')
        lines = log.read_text().splitlines(keepends=True)
        assert lines and all(line.endswith("}\n") for line in lines)


def test_a_line_that_a_crash_cut_is_taken_away_by_the_next(tmp_path):
    log = tmp_path / "metrics.jsonl"
    log.write_text('{"step": 1}\n{"st')
    append_line(log, '{"step": 2}')
    assert log.read_text() == '{"step": 1}\n{"step": 2}\n'
    log.write_text('{"st' + "x" * 200_000)
    append_line(log, '{"step": 3}')
    assert log.read_text() == '{"step": 3}\n'


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_ends_with_one_line(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(RunError, match="Permission denied"):
        write_text(tmp_path / "a.txt", "text")


def test_a_read_only_disk_ends_with_one_line_and_stays_readable(tmp_path):
    with small_disk(tmp_path, kilobytes=64) as disk:
        write_text(disk / "a.txt", "old")
        disk.make_read_only()
        with pytest.raises(RunError, match="Read-only file system"):
            write_text(disk / "a.txt", "new")
        assert (disk / "a.txt").read_text() == "old"


def test_a_folder_that_vanishes_during_a_write_ends_with_one_line(tmp_path):
    folder = tmp_path / "seeds"
    with (
        pytest.raises(RunError, match=r"cannot write .*a\.npz: No such file or directory"),
        atomic_file(folder / "a.npz") as file,
    ):
        file.write(b"half")
        (next(folder.iterdir())).unlink()
        folder.rmdir()


def test_a_file_where_a_folder_belongs_ends_with_one_line(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunError, match="cannot write"):
        write_text(tmp_path / "file" / "a.txt", "text")


def test_json_is_never_nan(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"miou": float("nan")})
    assert not list(tmp_path.iterdir())
