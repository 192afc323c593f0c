"""The per-class table of an evaluation, as data: whoever shows it decides how it looks.

Names are the user's own text: a renderer must escape its markup, and `csv_text` defuses spreadsheet formulas.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from recam_cli.core.csv_cells import Cell, csv_of
from recam_cli.core.metrics.coverage import CoveragePoint
from recam_cli.core.metrics.errors_split import KINDS
from recam_cli.core.metrics.figures import mean_of_present, percent
from recam_cli.core.metrics.result import EvaluateResult

MEAN = "mean"


@dataclass(frozen=True)
class Table:
    """A header and rows of equal length; None is a figure that is undefined."""

    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def rows_of(result: EvaluateResult) -> Table:
    """Return one row per mask value and a last row of means, in percent with two decimals.

    Columns: class, iou, precision, recall, and the four shares of `errors_split`, which the background has
    none of. The means run over the classes for which a figure is defined; those of the first three include
    the background.
    """
    scores, errors = result.scores, result.errors
    main = [scores.iou, scores.precision, scores.recall]
    shares = [np.concatenate([[np.nan], getattr(errors, kind)]) for kind in KINDS]
    columns = [*main, *shares]
    rows: list[tuple[Cell, ...]] = [
        (name, *(percent(column[value]) for column in columns)) for value, name in enumerate(result.names)
    ]
    rows.append((MEAN, *(percent(mean_of_present(column)) for column in columns)))
    return Table(("class", "iou", "precision", "recall", *KINDS), tuple(rows))


def confusion_table(result: EvaluateResult) -> Table:
    """Return the raw pixel counts: a row per true value, a column per predicted value, and the unlabelled."""
    rows: list[tuple[Cell, ...]] = [
        (name, *map(int, result.confusion.counts[value]), int(result.confusion.unlabelled[value]))
        for value, name in enumerate(result.names)
    ]
    return Table(("truth", *result.names, "unlabelled"), tuple(rows))


def coverage_table(points: Sequence[CoveragePoint]) -> Table:
    """Return one row per confidence threshold, in percent with two decimals, the threshold as it is."""
    rows = [tuple(point.as_dict().values()) for point in points]
    return Table(tuple(field.name for field in fields(CoveragePoint)), tuple(rows))


def text_of(cell: Cell) -> str:
    """Return a cell as shown to people: figures with two decimals, "n/a" where undefined."""
    if cell is None:
        return "n/a"
    return f"{cell:.2f}" if isinstance(cell, float) else str(cell)


def csv_text(table: Table) -> str:
    """Return the table as CSV; undefined figures are empty, and no text can run as a spreadsheet formula."""
    return csv_of([table.header, *table.rows])
