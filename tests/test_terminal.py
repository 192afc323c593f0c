"""What the user sees, whatever the width of the terminal."""

from __future__ import annotations

import pytest

from recam_cli.terminal import print_table


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
