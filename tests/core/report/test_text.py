"""Names in pictures: they fit the room there is, whatever they hold."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from recam_cli.core.report.text import ELLIPSIS, clean, font, shorten, shorten_to, text_width


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=60), st.integers(0, 300), st.integers(8, 20))
def test_shortened_text_never_exceeds_its_room(text, width, size):
    assert text_width(shorten(text, font(size), width), font(size)) <= width


def test_text_that_fits_stays_whole():
    assert shorten("aeroplane", font(14), 500) == "aeroplane"


def test_shortened_text_keeps_as_much_as_fits():
    letters = font(14)
    cut = shorten("x" * 500, letters, 200)
    assert cut.endswith(ELLIPSIS)
    assert text_width("x" + cut, letters) > 200


def test_control_characters_lines_and_bad_bytes_do_not_reach_a_picture():
    assert clean("a\n b\t\x00c\udcff") == "a b c?"


def test_counted_shortening():
    assert shorten_to("person", 6) == "person"
    assert shorten_to("aeroplane", 6) == "aerop" + ELLIPSIS
