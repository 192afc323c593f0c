from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recam_cli.core.data.ids import MAX_ID_BYTES, folded, id_fault, id_of


@pytest.mark.parametrize("name", ["1_8_s", "2007_000032", "my photo", "img.v2", "übung", "12:30", "a..b"])
def test_plain_names_are_ids(name):
    assert id_fault(name) is None


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../a",
        "a/b",
        "/etc/passwd",
        "a\\b",
        "C:x",
        ".hidden",
        "a\nb",
        "a\0b",
        " a",
        "a ",
        "x" * 201,
        "\ud800",
        "a\u2028b",
        "ü" * 101,
    ],
)
def test_names_that_would_leave_the_folder_or_break_lists_are_refused(name):
    assert id_fault(name)


@given(st.text(max_size=250))
def test_an_accepted_id_names_a_file_directly_in_its_folder(name):
    if id_fault(name) is None:
        path = Path("folder") / f"{name}.npz"
        assert path.parent == Path("folder")
        assert path.name == f"{name}.npz"
        assert len(name.encode()) <= MAX_ID_BYTES


@given(st.text(max_size=50))
def test_the_reason_for_a_refusal_is_one_printable_line(name):
    fault = id_fault(name)
    if fault is not None:
        fault.encode("utf-8")
        assert len(fault.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "image_id"),
    [("a.jpg", "a"), ("a.JPEG", "a"), ("a", "a"), ("a.v2.png", "a.v2"), ("a.txt", "a.txt")],
)
def test_a_file_name_and_an_id_mean_the_same(name, image_id):
    assert id_of(name) == image_id


def test_composed_and_decomposed_spellings_are_one_id():
    assert id_of("e\u0301té.jpg") == id_of("été")


def test_case_does_not_tell_ids_apart():
    assert folded("IMG_1") == folded("img_1")
    assert folded("Straße") == folded("STRASSE")
