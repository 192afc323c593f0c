"""The lock's file says who holds it, whatever stands in it, and nothing else is ever emptied."""

from __future__ import annotations

import fcntl
import json

import pytest

from recam_cli.core.errors import RunError
from recam_cli.core.runs.lock import LOCK_NAME, locked


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
