"""Legends: colour swatches with class names and scores, and the scale of the heat maps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from recam_cli.core.data.palette import PALETTE
from recam_cli.core.data.samples import IGNORE
from recam_cli.core.report.canvas import blank, paste, write
from recam_cli.core.report.overlay import hatch_pattern, heat_colours
from recam_cli.core.report.text import font, line_height, shorten, text_width


@dataclass(frozen=True)
class LegendEntry:
    """One item of a legend.

    Attributes:
        name: class name.
        colour: RGB of its swatch; None draws the scale of the heat maps instead.
        score: shown behind the name, e.g. the classifier's probability.
        hatched: stripes instead of the plain colour (ignored pixels).
    """

    name: str
    colour: tuple[int, int, int] | None = None
    score: float | None = None
    hatched: bool = False


HEAT_ENTRY = LegendEntry("class map, 0 to 1")
IGNORE_ENTRY = LegendEntry("ignored", (170, 170, 170), hatched=True)


def class_colour(class_id: int) -> tuple[int, int, int]:
    """Return the palette's RGB of a 0-based class id; past 254 classes the colours begin anew."""
    red, green, blue = (int(c) for c in PALETTE[class_id % (IGNORE - 1) + 1])
    return red, green, blue


def class_entries(
    classes: Sequence[str], shown: Iterable[int], scores: dict[str, float] | None = None
) -> list[LegendEntry]:
    """Return the entries of the 0-based class ids `shown`, ascending, each once."""
    return [
        LegendEntry(classes[k], class_colour(k), (scores or {}).get(classes[k]))
        for k in sorted(set(shown))
        if k < len(classes)
    ]


def draw_legend(entries: Sequence[LegendEntry], width: int, *, size: int = 14) -> np.ndarray:
    """Draw a legend that wraps over as many lines as it needs.

    Args:
        entries: from left to right; a name too long for a line is shortened.
        width: pixels of the whole legend; more where a swatch alone needs more.
        size: letter size in pixels.

    Returns:
        uint8 (H, width, 3) on white; one pixel high where there are no entries.
    """
    letters = font(size)
    pieces = [_entry(entry, width, size) for entry in entries]
    width = max([width, *(piece.shape[1] for piece in pieces)])
    step, line = 2 * size, line_height(letters) + max(4, size // 2)
    places, left, top = [], 0, 0
    for piece in pieces:
        if left and left + piece.shape[1] > width:
            left, top = 0, top + line
        places.append((top, left))
        left += piece.shape[1] + step
    sheet = blank(top + line_height(letters) if pieces else 1, width)
    for piece, (y, x) in zip(pieces, places, strict=True):
        paste(sheet, piece, y, x)
    return sheet


def _entry(entry: LegendEntry, room: int, size: int) -> np.ndarray:
    letters = font(size)
    height = line_height(letters)
    swatch = _swatch(entry, size)
    score = "" if entry.score is None else f" {entry.score:.2f}"
    start = swatch.shape[1] + size // 2
    name = shorten(entry.name, letters, max(0, room - start - text_width(score, letters))) + score
    sheet = blank(height, start + text_width(name, letters))
    paste(sheet, swatch, (height - swatch.shape[0]) // 2, 0)
    return write(sheet, name, (0, start), letters)


def _swatch(entry: LegendEntry, size: int) -> np.ndarray:
    if entry.colour is None:
        ramp = np.linspace(0.0, 1.0, 5 * size, dtype=np.float32)
        return heat_colours(np.repeat(ramp[None], size, axis=0))
    swatch = blank(size, round(1.4 * size))
    swatch[:] = entry.colour
    if entry.hatched:
        swatch[hatch_pattern((swatch.shape[0], swatch.shape[1]))] = 255
    rim = np.asarray(entry.colour) // 2  # seen also where the colour is close to white
    swatch[[0, -1]] = rim
    swatch[:, [0, -1]] = rim
    return swatch
