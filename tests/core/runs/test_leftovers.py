from __future__ import annotations

import os
import time

import pytest

from recam_cli.core.runs import leftovers
from recam_cli.core.runs.files import write_bytes
from recam_cli.core.runs.leftovers import is_leftover, sweep, temporary_beside
from tests.helpers.leftovers import left_beside


def test_a_temporary_name_is_new_beside_its_file_and_tells_what_it_is(tmp_path):
    names = {temporary_beside(tmp_path / "cat, 1.npz") for _ in range(50)}
    assert len(names) == 50
    assert all(path.parent == tmp_path and is_leftover(path.name) for path in names)
    assert not any(map(is_leftover, ["a.npz", ".a.npz.partial", "archive.partial", ".a.1x-0123abcd.partial"]))


@pytest.mark.parametrize(
    "name",
    [b"n" * 251 + b".png", "é".encode() * 125 + b".png", "漢".encode() * 83 + b".png", b"\xff" * 255, b"a\nb.png"],
    ids=["ascii", "two bytes", "three bytes", "not UTF-8", "line end"],
)
def test_a_name_as_long_as_a_folder_takes_is_written_and_its_leftovers_swept(tmp_path, name):
    path = tmp_path / os.fsdecode(name)
    write_bytes(path, b"x")
    assert path.read_bytes() == b"x"
    left = left_beside(path)
    left.write_bytes(b"half")
    left.name.encode("utf-8")  # cut between characters
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == [path]


def test_leftovers_of_the_dead_are_swept_and_those_of_the_living_stay(tmp_path):
    (tmp_path / "seeds").mkdir()
    path = tmp_path / "seeds" / "a.npz"
    dead, live = left_beside(path), left_beside(path, process=os.getpid())
    others = [path.with_name(n) for n in ("a.npz", ".a.npz.partial", "archive.partial", ".a.npz.1x-0123abcd.partial")]
    for file in (dead, live, *others):
        file.write_bytes(b"x")
    sweep(tmp_path)
    assert {*path.parent.iterdir()} == {live, *others}


def test_of_another_host_only_what_none_touched_for_a_day_is_swept(tmp_path):
    """A process of that number may live there, or none here."""
    young = left_beside(tmp_path / "a.npz", host="ffffff")
    old = left_beside(tmp_path / "a.npz", host="ffffff", process=os.getpid())
    for path in (young, old):
        path.write_bytes(b"x")
    long_ago = time.time() - leftovers.FOREIGN_SECONDS - 60
    os.utime(old, (long_ago, long_ago))
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == [young]


def test_folders_are_swept_too_and_where_asked_for_none_deeper(tmp_path):
    half = left_beside(tmp_path / "VOC2012")
    (half / "JPEGImages").mkdir(parents=True)
    (half / "JPEGImages" / "a.jpg").write_bytes(b"x")
    (tmp_path / "deeper").mkdir()
    deeper = left_beside(tmp_path / "deeper" / "a.npz")
    deeper.write_bytes(b"x")
    sweep(tmp_path, below=False)
    assert not half.exists()
    assert deeper.exists()
    sweep(tmp_path)
    assert not deeper.exists()


def test_a_link_is_taken_away_and_not_what_it_leads_to(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.jpg").write_bytes(b"x")
    left_beside(tmp_path / "a.npz").symlink_to(tmp_path / "data", target_is_directory=True)
    sweep(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["data"]
    assert (tmp_path / "data" / "a.jpg").exists()
