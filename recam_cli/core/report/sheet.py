"""The contact sheet: one row of panels per image, columns aligned."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from recam_cli.core.report.canvas import GUTTER, blank, stack, write
from recam_cli.core.report.legend import LegendEntry, draw_legend
from recam_cli.core.report.panels import Panel, beside, cell_width, draw_cell, title_size
from recam_cli.core.report.text import font, line_height, shorten, text_width

_SMALLEST = 320


def contact_sheet(
    rows: Sequence[Sequence[Panel | None]],
    *,
    header: str = "",
    columns: Sequence[str] = (),
    legend: Sequence[LegendEntry] = (),
    height: int = 160,
    letter_size: int | None = None,
) -> np.ndarray:
    """Put one row of panels per image below each other.

    Args:
        rows: one sequence of panels per image; None, or a row that ends early, leaves its cell white.
        header: one line above everything.
        columns: a heading for each column, once above the first row.
        legend: below the last row.
        height: pixels of each picture's height.
        letter_size: pixels of the letters; None takes what suits the height.

    Returns:
        uint8 (H, W, 3), white where nothing is.
    """
    size = letter_size or title_size(height)
    widths = _column_widths(rows, len(columns), height)
    width = max(sum(widths) + GUTTER * (len(widths) - 1), _SMALLEST)
    parts = []
    if header:
        parts.append(heading(header, width, size=size + 4))
    if columns:
        parts.append(_column_heads(columns, widths, size))
    parts += [_row(row, widths, height, size) for row in rows]
    if legend:
        parts.append(draw_legend(legend, width, size=size))
    return stack(parts, margin=GUTTER)


def heading(text: str, width: int, *, size: int) -> np.ndarray:
    """Return one line of bold text on white, shortened to `width` pixels."""
    letters = font(size, bold=True)
    sheet = blank(line_height(letters), width)
    return write(sheet, shorten(text, letters, width), (0, 0), letters)


def _column_widths(rows: Sequence[Sequence[Panel | None]], columns: int, height: int) -> list[int]:
    count = max([columns, *(len(row) for row in rows)], default=0)
    panels = [[row[c] for row in rows if c < len(row)] for c in range(count)]
    return [max([cell_width(p, height) for p in column if p is not None], default=height) for column in panels]


def _column_heads(columns: Sequence[str], widths: Sequence[int], size: int) -> np.ndarray:
    letters = font(size, bold=True)
    cells = []
    for name, width in zip(columns, widths, strict=False):
        text = shorten(name, letters, width)
        sheet = blank(line_height(letters), width)
        cells.append(write(sheet, text, (0, (width - text_width(text, letters)) // 2), letters))
    return beside(cells)


def _row(row: Sequence[Panel | None], widths: Sequence[int], height: int, size: int) -> np.ndarray:
    titled = any(panel is not None and panel.title for panel in row)
    nothing = Panel("", blank(1, 1))
    filled = [(row[c] if c < len(row) else None) or nothing for c in range(len(widths))]
    if not filled:
        return blank(1, 1)
    cells = zip(filled, widths, strict=True)
    return beside([draw_cell(p, height, w, titled=titled, letter_size=size) for p, w in cells])
