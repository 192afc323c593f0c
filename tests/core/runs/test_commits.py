"""Files of items go to disk in the background, and keep the promise of every write."""

from __future__ import annotations

import os
import threading
import time

import pytest

from recam_cli.core.errors import RunError
from recam_cli.core.runs import files
from recam_cli.core.runs.commits import Commits
from recam_cli.core.runs.files import commit, deferred, write_bytes, write_text
from tests.helpers.small_disk import small_disk


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_after_the_block_all_files_are_there_whole_and_synced_and_so_is_the_folder(tmp_path, monkeypatch):
    synced, fsync = set(), os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (fsync(handle), synced.add(os.fstat(handle).st_ino)))
    with Commits() as commits:
        for number in range(200):
            with commits.item():
                write_text(tmp_path / f"{number}.txt", f"text {number}" * 500)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        f"{number}.txt": f"text {number}" * 500 for number in range(200)
    }
    assert {path.stat().st_ino for path in (*tmp_path.iterdir(), tmp_path)} <= synced


def test_the_stage_does_not_wait_for_the_disk(tmp_path, monkeypatch):
    waits = threading.Event()
    original = files._sync_file
    monkeypatch.setattr(files, "_sync_file", lambda file: (waits.wait(10), original(file)))
    begun = time.monotonic()
    with Commits() as commits:
        for number in range(20):
            with commits.item():
                write_text(tmp_path / f"{number}.txt", "text")
        assert time.monotonic() - begun < 5
        assert all(name.startswith(".") for name in names(tmp_path))  # none has its name before it is on disk
        waits.set()
    assert len(names(tmp_path)) == 20


def test_files_of_one_item_appear_in_their_order(tmp_path, monkeypatch):
    order, original = [], files._take_place
    monkeypatch.setattr(files, "_take_place", lambda *paths: (order.append(paths[1].name), original(*paths)))
    with Commits() as commits, commits.item():
        for name in ("confidence", "mask", "overlay"):
            write_text(tmp_path / name, name)
    assert order == ["confidence", "mask", "overlay"]


def test_only_a_bounded_number_waits(tmp_path, monkeypatch):
    waits = threading.Event()
    original = files._sync_file
    monkeypatch.setattr(files, "_sync_file", lambda file: (waits.wait(10), original(file)))
    threading.Timer(0.5, waits.set).start()
    most = 0
    with Commits() as commits:
        for number in range(300):
            with commits.item():
                write_text(tmp_path / f"{number}.txt", "text")
            most = max(most, sum(name.startswith(".") for name in names(tmp_path)))
    assert most < 80


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_what_was_written_before_an_error_stays_and_the_item_of_the_error_leaves_nothing(tmp_path, error):
    with pytest.raises(error), Commits() as commits:
        with commits.item():
            write_text(tmp_path / "a", "a")
        with commits.item():
            write_text(tmp_path / "b", "b")
            raise error
    assert names(tmp_path) == ["a"]


def test_a_failure_is_raised_and_leaves_neither_the_file_nor_those_of_the_item_after_it(tmp_path, monkeypatch):
    original = files._take_place

    def fail(temporary, path):
        if path.name == "bad":
            raise OSError(28, "No space left on device")
        original(temporary, path)

    monkeypatch.setattr(files, "_take_place", fail)
    with pytest.raises(RunError, match=r"cannot write .*bad: No space left on device"), Commits() as commits:
        with commits.item():
            for name in ("good", "bad", "after"):
                write_text(tmp_path / name, name)
        with commits.item():
            write_text(tmp_path / "other", "other")
    assert names(tmp_path) in (["good"], ["good", "other"])


def test_a_full_disk_leaves_whole_files_only(tmp_path):
    with small_disk(tmp_path, kilobytes=200) as disk:
        with pytest.raises(RunError, match="No space left on device"), Commits() as commits:
            for number in range(100):
                with commits.item():
                    write_bytes(disk / f"{number}", bytes(9000))
        left = list(disk.iterdir())
        assert left and all(path.stat().st_size == 9000 and not path.name.startswith(".") for path in left)


def test_another_process_may_write_what_this_one_commits(tmp_path):
    with deferred() as pending:
        write_text(tmp_path / "a", "a")
    assert names(tmp_path) != ["a"]
    commit(pending)
    assert names(tmp_path) == ["a"]
    write_text(tmp_path / "b", "b")  # outside the block nothing waits
    assert names(tmp_path) == ["a", "b"]
