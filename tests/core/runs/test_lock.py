"""One process at a time per run directory, also where the file system knows no locks."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys

import pytest

from recam_cli.core.errors import ExitCode, RunError
from recam_cli.core.runs import lock
from recam_cli.core.runs.lock import HOLDER_NAME, LOCK_NAME, in_use, locked

_HOLD = """
import errno, sys, time
from pathlib import Path
from types import SimpleNamespace
from recam_cli.core.runs import lock
def refuse(*_): raise OSError(errno.ENOLCK, "No locks available")
if sys.argv[2] == "no locks": lock.fcntl = SimpleNamespace(flock=refuse, LOCK_EX=2, LOCK_NB=4)
with lock.locked(Path(sys.argv[1])):
    print("holding", flush=True)
    time.sleep(60)
"""
KINDS = ("locks", "no locks")


@pytest.fixture(params=KINDS)
def kind(request, monkeypatch):
    """Give whether the file system knows locks, for this process as well."""
    if request.param == "no locks":

        def refuse(*_):
            raise OSError(errno.ENOLCK, "No locks available")

        monkeypatch.setattr(lock.fcntl, "flock", refuse)
    return request.param


@pytest.fixture
def holder(tmp_path, kind):
    """Give a living process that holds the lock of `tmp_path`."""
    process = subprocess.Popen([sys.executable, "-c", _HOLD, str(tmp_path), kind], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "holding\n"
    yield process
    process.kill()
    process.wait()


def test_a_living_holder_is_named_and_turns_others_away(tmp_path, holder):
    assert in_use(tmp_path)
    with pytest.raises(RunError, match=f"in use by process {holder.pid} on {socket.gethostname()}") as caught:
        locked(tmp_path).__enter__()
    assert caught.value.exit_code == ExitCode.BAD_RUN


def test_the_lock_of_a_killed_process_is_free(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert not in_use(tmp_path)
    with locked(tmp_path):
        assert json.loads((tmp_path / LOCK_NAME).read_text())["pid"] == os.getpid()


def test_a_lock_is_given_back(tmp_path, kind):
    for _ in range(2):
        with locked(tmp_path):
            assert (tmp_path / HOLDER_NAME).exists() == (kind == "no locks")
    assert [p.name for p in tmp_path.iterdir()] == [LOCK_NAME]


@pytest.fixture
def no_locks(monkeypatch):
    monkeypatch.setattr(lock, "fcntl", None)


def left_behind(folder, **changes):
    note = {"pid": os.getpid(), "host": socket.gethostname(), "started": "another time"}
    (folder / HOLDER_NAME).write_text(json.dumps(note | changes))


def test_a_number_that_was_given_again_to_another_process_does_not_hold_the_lock(tmp_path, no_locks):
    left_behind(tmp_path)
    with locked(tmp_path):
        assert json.loads((tmp_path / HOLDER_NAME).read_text())["started"] != "another time"


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"pid": "x"}', '{"pid": -1}', '{"pid": 1e400}', "[" * 100_000])
def test_a_damaged_note_holds_nothing(tmp_path, no_locks, text):
    (tmp_path / HOLDER_NAME).write_text(text)
    with locked(tmp_path):
        pass


def test_a_holder_on_another_host_counts_as_living_and_the_remedy_says_what_to_delete(tmp_path, no_locks):
    left_behind(tmp_path, host="elsewhere")
    with pytest.raises(RunError, match=rf"on elsewhere.*if it is dead, delete .*{HOLDER_NAME}"):
        locked(tmp_path).__enter__()
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(f".{HOLDER_NAME}")] == []


def test_of_many_at_once_one_gets_the_lock(tmp_path):
    for kind in KINDS:
        command = [sys.executable, "-c", _HOLD, str(tmp_path / kind), kind]
        many = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(6)]
        turned_away = []
        while len(turned_away) < 5:
            turned_away += [p for p in many if p.poll() is not None and p not in turned_away]
        assert all("in use by" in p.stderr.read() for p in turned_away)
        winner = next(p for p in many if p not in turned_away)
        assert winner.stdout.readline() == "holding\n"
        winner.kill()
        winner.wait()


def held(folder, text):
    path = folder / LOCK_NAME
    path.write_bytes(text)
    with path.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(RunError) as caught, locked(folder):
            raise AssertionError("two processes hold the lock")
    return str(caught.value)


def test_the_holder_is_named(tmp_path):
    assert "in use by process 12 on here" in held(tmp_path, json.dumps({"pid": 12, "host": "here"}).encode())


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"7", b"\xff", b"[" * 3000, b'{"pid": 1e999, "host": 1}', b'{"pid": []}', b"9" * 9000]
)
def test_a_lock_file_of_anything_is_in_use_by_another_process(tmp_path, text):
    assert "in use by another process" in held(tmp_path, text)


def test_a_link_in_place_of_the_lock_is_refused_and_what_it_leads_to_is_kept(tmp_path):
    (tmp_path / "precious").write_text("kept")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / LOCK_NAME).symlink_to(tmp_path / "precious")
    with pytest.raises(RunError, match="cannot be written"), locked(tmp_path / "run"):
        raise AssertionError
    assert (tmp_path / "precious").read_text() == "kept"
