"""What the user sees, whatever the width of the terminal."""

from __future__ import annotations

import io
import json
import sys

import pytest

from recam_cli.terminal import print_json, print_line, print_table


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
