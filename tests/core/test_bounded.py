"""Files that nobody vouches for never block, and never fill the memory."""

from __future__ import annotations

import errno
import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recam_cli.core.bounded import MAX_DEPTH, is_there, parse_json, read_bounded, read_json, reason_of, require_plain

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=20,
)


def nested(depth, opening="[", closing="]"):
    return opening * depth + closing * depth


def test_pipes_devices_folders_and_loops_are_no_plain_files(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    for path, code in (
        (tmp_path / "pipe", errno.EINVAL),
        (tmp_path / "loop", errno.ELOOP),
        (tmp_path / "gone", errno.ENOENT),
        (tmp_path / "a\0b", errno.EINVAL),
        (tmp_path / ("a" * 300), errno.ENAMETOOLONG),
        (tmp_path, errno.EISDIR),
        ("/dev/zero", errno.EINVAL),
    ):
        with pytest.raises(OSError) as caught:
            require_plain(path)
        assert caught.value.errno == code
        assert caught.value.strerror


def test_a_file_is_read_up_to_its_limit_and_through_links(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * 2048)
    (tmp_path / "link").symlink_to("a")
    assert read_bounded(tmp_path / "link", 2048) == b"x" * 2048
    with pytest.raises(OSError, match="more than 1 kB"):
        read_bounded(tmp_path / "a", 2047)


def test_a_link_that_leads_nowhere_is_there(tmp_path):
    (tmp_path / "link").symlink_to("nowhere")
    assert is_there(tmp_path / "link")
    assert not is_there(tmp_path / "nowhere")
    assert not is_there(tmp_path / ("a" * 300))


@given(JSON)
def test_json_of_moderate_depth_is_read_as_it_is(value):
    assert parse_json(json.dumps(value)) == value


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
def test_json_nested_too_deeply_is_refused_at_any_depth(opening, closing):
    levels = opening.count("[") + opening.count("{")
    inner = MAX_DEPTH // levels
    assert parse_json(nested(inner, opening, closing).replace(":}", ":1}"))
    for depth in (inner + 1, 500, 5000, 200_000):
        with pytest.raises(ValueError, match="nested too deeply"):
            parse_json(nested(depth, opening, closing).replace(":}", ":1}"))


def test_json_files_that_are_no_json_give_value_errors(tmp_path):
    for data in (b"", b"{", b"\xff\xfe{\0", b"9" * 10_000, b'{"a": 1} x'):
        (tmp_path / "a.json").write_bytes(data)
        with pytest.raises(ValueError):
            read_json(tmp_path / "a.json")


def test_the_reason_is_one_line_whatever_the_error_says():
    assert reason_of(EOFError()) == "EOFError"
    assert reason_of(ValueError("\n")) == "ValueError"
    assert reason_of(ValueError("first\nsecond")) == "first"
    assert reason_of(OSError(errno.EACCES, "Permission denied", "a")) == "Permission denied"
