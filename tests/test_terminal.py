"""What the user sees, whatever the width of the terminal."""

from __future__ import annotations

import io
import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recam_cli.core.printable import printable
from recam_cli.terminal import TerminalReporter, print_json, print_line, print_table


@pytest.fixture(autouse=True)
def _narrow(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")


def test_a_title_longer_than_its_table_stays_on_one_line(capsys):
    print_table(("class", "AP %"), [("cat", "50.00")], title="1,449 held-out images of the split val")
    assert capsys.readouterr().out.splitlines()[0] == "1,449 held-out images of the split val"


def test_names_are_never_taken_for_markup_and_figures_never_cut(capsys):
    print_table(("class", "[b]IoU"), [("[red]cat " + "x" * 300, "50.00")])
    out = capsys.readouterr().out
    assert "[b]IoU" in out and "[red]cat" in out and "50.00" in out
    assert out.count("x") == 300


HOSTILE = ("\x1b[2J", "\x9b31m", "\u202egnp.tac", "a\rb", "\x07", "caf\udce9", "\u2028")


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
@pytest.mark.parametrize("way", ["line", "json", "table", "title", "info", "warn", "plain bar"])
def test_characters_a_terminal_would_act_on_are_shown_and_never_sent(capsys, name, way):
    reporter = TerminalReporter()
    ways = {
        "line": lambda: print_line(name),
        "json": lambda: print_json({name: [name]}),
        "table": lambda: print_table((name, "b"), [(name, name)]),
        "title": lambda: print_table(("a", "b"), [("a", "b")], title=name),
        "info": lambda: reporter.info(name),
        "warn": lambda: reporter.warn(name),
        "plain bar": lambda: _advance(reporter, name),
    }
    ways[way]()
    shown = "".join(capsys.readouterr())
    assert shown.encode("utf-8")
    assert not set(shown) - {"\n"} & {c for c in name if not c.isprintable()}
    if way == "json":
        assert json.loads(shown) == {name: [name]}


def test_a_bar_takes_no_title_for_markup(monkeypatch, capsys):
    from rich.console import Console

    from recam_cli import terminal

    monkeypatch.setattr(terminal, "stderr_console", lambda: Console(file=sys.stderr, force_terminal=True, width=120))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    _advance(TerminalReporter(), "[red]cat\x1b[2J")
    shown = capsys.readouterr().err
    assert "[red]cat\\u001b[2J" in shown
    assert "\x1b[2J" not in shown


def _advance(reporter, name):
    with reporter.track(name, 1) as bar:
        bar.advance()


@given(st.text(st.characters(exclude_characters='"\\')))
def test_escapes_are_those_of_json_and_plain_text_stays(text):
    assert json.loads(f'"{printable(text)}"') == text
    assert printable(printable(text)) == printable(text)
    assert printable("ça: 1,449 × “猫”") == "ça: 1,449 × “猫”"


def test_json_is_json_whatever_the_names_and_the_terminal(monkeypatch):
    value = {"file": "bytes\udcff", "name": "é 日本 😀"}
    for encoding in ("utf-8", "ascii", "latin-1"):
        out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        monkeypatch.setattr(sys, "stdout", out)
        print_json(value)
        assert json.loads(out.buffer.getvalue()) == value


def test_lines_show_what_cannot_be_encoded_escaped(monkeypatch):
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", out)
    print_line("photo\udcff é")
    assert out.buffer.getvalue() == b"photo\\udcff \\xe9\n"
