"""CSV whose text no spreadsheet takes for a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

Cell = str | float | int | None

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def csv_of(rows: Iterable[Iterable[Cell]]) -> str:
    """Return rows as CSV; None is an empty cell, and text is written as by `csv_cell`."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    for row in rows:
        writer.writerow([csv_cell(cell) if isinstance(cell, str) else cell for cell in row])
    return buffer.getvalue()


def csv_cell(text: str) -> str:
    """Return `text` on one line, after an apostrophe where a spreadsheet would take it for a formula."""
    text = text.replace("\r", " ").replace("\n", " ")
    return f"'{text}" if _is_formula(text) else text


def _is_formula(text: str) -> bool:
    """Return whether `text`, apostrophes before it left out so that no two texts share a cell, begins a formula."""
    bare = text.lstrip("'")
    return bare[:1] in _FORMULA_STARTS or bare.lstrip()[:1] in _FORMULA_STARTS
