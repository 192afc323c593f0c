"""The table of an evaluation and its CSV."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest

from recam_cli.core.metrics.confusion import ConfusionMatrix
from recam_cli.core.metrics.result import EvaluateResult
from recam_cli.core.metrics.table import Table, confusion_table, csv_text, rows_of, text_of


def result():
    matrix = ConfusionMatrix(4, ignored="unlabelled")
    matrix.update(np.array([[0, 0, 1, 1, 2, 2]], np.uint8), np.array([[0, 1, 1, 255, 2, 1]], np.uint8))
    return EvaluateResult("masks", "train", "run", 1, ("background", "=cow", "dog", "tree"), matrix)


def test_there_is_a_row_per_value_and_one_of_means():
    table = rows_of(result())
    assert table.header[:4] == ("class", "iou", "precision", "recall")
    assert all(len(row) == len(table.header) for row in table.rows)
    assert table.rows[0] == ("background", 50.0, 100.0, 50.0, None, None, None, None)
    assert table.rows[1] == ("=cow", 25.0, 33.33, 50.0, 25.0, 25.0, 25.0, 0.0)
    assert table.rows[3] == ("tree", *[None] * 7)
    assert table.rows[-1][:4] == ("mean", 41.67, 77.78, 50.0)


def test_the_raw_counts_can_be_read_back():
    rows = list(csv.reader(io.StringIO(csv_text(confusion_table(result())))))
    assert rows[0] == ["truth", "background", "'=cow", "dog", "tree", "unlabelled"]
    assert rows[2] == ["'=cow", "0", "1", "0", "0", "1"]


def test_undefined_figures_are_shown_as_not_available_and_left_empty_in_csv():
    assert [text_of(cell) for cell in (None, 3.0, 12.345, "cow", 4)] == ["n/a", "3.00", "12.35", "cow", "4"]
    assert csv_text(Table(("a", "b"), (("x", None),))) == "a,b\nx,\n"


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@x", "\t=1", "  =1"])
def test_no_name_runs_as_a_spreadsheet_formula(name):
    text = csv_text(Table((name,), ((name,),)))
    assert [row[0] for row in csv.reader(io.StringIO(text, newline=""))] == ["'" + name] * 2


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_no_name_starts_a_row_of_its_own(end):
    text = csv_text(Table(("a",), ((f"cow{end}=1+1",), (f"{end}=1+1",))))
    rows = [row[0].replace("  ", " ") for row in csv.reader(io.StringIO(text, newline=""))]
    assert rows == ["a", "cow =1+1", "' =1+1"]


def test_negative_numbers_stay_numbers_and_quotes_survive():
    assert csv_text(Table(("a",), ((-1.5,), ('say "hi", you',)))) == 'a\n-1.5\n"say ""hi"", you"\n'
