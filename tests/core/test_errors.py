from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from recam_cli.core.errors import DataError, one_line
from recam_cli.core.printable import printable


@given(st.text(alphabet=st.characters()), st.text(alphabet=st.characters()))
def test_a_message_is_one_short_line_that_a_terminal_shows_as_it_is(message, remedy):
    text = str(DataError(message, remedy=remedy or None))
    assert text == printable(text)
    assert len(text) < 3000


def test_control_characters_are_escaped_and_blanks_joined():
    assert one_line("a\n b\x1b[31m\udcff\x00") == "a b\\u001b[31m\\udcff\\u0000"


def test_a_long_message_keeps_its_beginning_and_end():
    line = one_line("first " + "x" * 50_000 + " last")
    assert line.startswith("first ") and line.endswith(" last") and "…" in line
    assert len(line) < 1300
