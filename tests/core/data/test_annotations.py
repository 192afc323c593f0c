from __future__ import annotations

import os
import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recam_cli.core.data.annotations import MAX_ANNOTATION_BYTES, AnnotatedObject, read_annotation
from recam_cli.core.errors import DataError
from tests.helpers.tiny_data import annotation_xml

BOMB = (
    '<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;&b;">]><annotation><object><name>&c;</name></object></annotation>'
)
OUTSIDE = '<!DOCTYPE a SYSTEM "file:///etc/passwd"><annotation/>'


def write(tmp_path, content):
    path = tmp_path / "a.xml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


def test_objects_are_read_with_their_flag_and_without_their_parts(tmp_path):
    path = write(tmp_path, annotation_xml("a", [("person", False), ("dog", True), ("person", True)]))
    assert read_annotation(path) == (
        AnnotatedObject("person", False),
        AnnotatedObject("dog", True),
        AnnotatedObject("person", True),
    )


def test_a_missing_flag_means_not_difficult_and_blanks_do_not_count(tmp_path):
    path = write(tmp_path, "<annotation><object>\n<name>\n cat \n</name></object></annotation>")
    assert read_annotation(path) == (AnnotatedObject("cat", False),)


def test_names_outside_objects_are_not_labels(tmp_path):
    outside = "<source><name>x</name></source><name>y</name>"
    text = f"<annotation>{outside}<object><name>cat</name></object></annotation>"
    assert [o.name for o in read_annotation(write(tmp_path, text))] == ["cat"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("text", [BOMB, OUTSIDE])
def test_document_types_and_entities_are_refused_in_every_encoding(tmp_path, text, encoding):
    with pytest.raises(DataError, match="document type or entity"):
        read_annotation(write(tmp_path, text.encode(encoding)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not XML"),
        ("<annotation>", "not XML"),
        ("<annotation>&lol;</annotation>", "not XML"),
        ("<html/>", "instead of a VOC <annotation>"),
        ("<annotation><object/></annotation>", "object without a name"),
        (b'<?xml version="1.0" encoding="klingon"?><annotation/>', "not XML"),
        (b"<annotation>" + b" " * MAX_ANNOTATION_BYTES + b"</annotation>", "more than 4 MB"),
    ],
)
def test_what_is_no_annotation_is_refused(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        read_annotation(write(tmp_path, content))


def test_a_missing_annotation_is_named(tmp_path):
    with pytest.raises(DataError, match=r"gone\.xml: no such annotation"):
        read_annotation(tmp_path / "gone.xml")


@given(st.binary(max_size=300))
def test_no_bytes_at_all_cause_anything_but_a_data_error(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("fuzz")
    for head in (b"", b"<annotation><object><name>"):
        with suppress(DataError):
            read_annotation(write(folder, head + data))


def test_a_name_of_many_lines_is_refused_in_bounded_time(tmp_path):
    begun = time.process_time()
    with pytest.raises(DataError, match="endless"):
        read_annotation(
            write(tmp_path, "<annotation><object><name>" + "a\n" * 1_500_000 + "</name></object></annotation>")
        )
    assert time.process_time() - begun < 2


def test_more_objects_than_a_photograph_can_show_are_refused(tmp_path):
    with pytest.raises(DataError, match="more than 10000 objects"):
        read_annotation(write(tmp_path, f"<annotation>{'<object><name>a</name></object>' * 10_001}</annotation>"))


def test_a_pipe_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "a.xml")
    with pytest.raises(DataError, match="not a plain file"):
        read_annotation(tmp_path / "a.xml")
