"""Cells of CSV: no formula, nothing lost, no two texts alike."""

from __future__ import annotations

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from recam_cli.core.csv_cells import csv_cell, csv_of

FORMULA_STARTS = "=+-@\t\r"
TEXTS = st.text(st.one_of(st.sampled_from("=+-@\t\r\n' \",;a1"), st.characters(exclude_categories=["Cs"])), max_size=12)


def read(text):
    return list(csv.reader(io.StringIO(text, newline="")))


@given(TEXTS)
def test_no_text_begins_like_a_formula_even_after_blanks(text):
    (cell,) = read(csv_of([[text, "end"]]))[0][:1]
    assert cell.lstrip()[:1] not in tuple(FORMULA_STARTS)


@given(st.lists(st.lists(TEXTS, min_size=2, max_size=3), max_size=4))
def test_rows_read_back_as_the_cells_that_were_written(rows):
    assert read(csv_of(rows)) == [[csv_cell(text) for text in row] for row in rows]


@given(TEXTS, TEXTS)
def test_texts_of_one_line_that_differ_stay_different(one, other):
    one, other = (text.replace("\n", "").replace("\r", "") for text in (one, other))
    assert (csv_cell(one) == csv_cell(other)) == (one == other)
    assert csv_cell(one) in (one, f"'{one}")


def test_apostrophes_before_a_formula_do_not_make_two_names_one():
    assert [csv_cell(text) for text in ("=a", "'=a", "'a", "a")] == ["'=a", "''=a", "'a", "a"]


@given(st.one_of(st.none(), st.integers(), st.floats(allow_nan=False, allow_infinity=False)))
def test_numbers_stay_numbers(number):
    (cell,) = read(csv_of([[number, "end"]]))[0][:1]
    assert cell == "" if number is None else float(cell) == float(number)
