"""Titled pictures side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recam_cli.core.report.canvas import GUTTER, blank, fitted_size, paste, scaled, stack, write
from recam_cli.core.report.text import font, line_height, shorten, text_width

MAX_ASPECT = 2.0
"""A picture wider than this times its height is scaled down to that width."""
MIN_CELL = 0.7
"""Narrowest cell, in heights: room for a title above an upright picture."""


@dataclass(frozen=True, eq=False)
class Panel:
    """One picture with its title.

    Attributes:
        title: drawn above the picture, shortened where it is wider than the panel.
        pixels: uint8 (H, W, 3), RGB.
    """

    title: str
    pixels: np.ndarray


def title_size(height: int) -> int:
    """Return the letter size in pixels that suits pictures of this height."""
    return int(np.clip(round(height / 15), 12, 26))


def cell_width(panel: Panel, height: int) -> int:
    """Return the width in pixels a panel takes at this picture height."""
    width = fitted_size(panel.pixels.shape, height, round(height * MAX_ASPECT))[1]
    return max(width, round(height * MIN_CELL))


def draw_cell(
    panel: Panel, height: int, width: int, *, titled: bool = True, letter_size: int | None = None
) -> np.ndarray:
    """Return one panel in a cell of this picture height and width, the picture centred below its title."""
    letters = font(letter_size or title_size(height))
    head = line_height(letters) + 4 if titled else 0
    sheet = blank(head + height, width)
    size = fitted_size(panel.pixels.shape, height, width)
    paste(sheet, scaled(panel.pixels, size), head + (height - size[0]) // 2, (width - size[1]) // 2)
    title = shorten(panel.title, letters, width)
    if not titled or not title:
        return sheet
    return write(sheet, title, (0, (width - text_width(title, letters)) // 2), letters)


def image_row(panels: Sequence[Panel], *, height: int = 240, per_row: int | None = None) -> np.ndarray:
    """Put panels side by side, all with pictures of one height, on white.

    Args:
        panels: from left to right; of any sizes and aspect ratios.
        height: pixels of each picture's height, title not counted.
        per_row: panels after which a new line begins; None keeps all on one line.

    Returns:
        uint8 (rows, columns, 3); one white pixel where there is no panel.
    """
    per_row = max(1, per_row or len(panels))
    titled = any(panel.title for panel in panels)
    lines = []
    for start in range(0, len(panels), per_row):
        chunk = panels[start : start + per_row]
        cells = [draw_cell(p, height, cell_width(p, height), titled=titled) for p in chunk]
        lines.append(beside(cells))
    return stack(lines)


def beside(cells: Sequence[np.ndarray], *, gap: int = GUTTER) -> np.ndarray:
    """Return cells of one height next to each other, `gap` pixels apart."""
    sheet = blank(cells[0].shape[0], sum(c.shape[1] for c in cells) + gap * (len(cells) - 1))
    left = 0
    for cell in cells:
        paste(sheet, cell, 0, left)
        left += cell.shape[1] + gap
    return sheet
