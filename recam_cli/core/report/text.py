"""Text in pictures: the font, its measures, and names cut to the room there is.

The font is DejaVu Sans, which comes with matplotlib and holds Latin, Greek, Cyrillic, Arabic and
Hebrew letters; a character it lacks is drawn as an empty box.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

import matplotlib
from PIL import ImageFont

ELLIPSIS = "…"
INK = (32, 33, 36)
FAINT = (95, 99, 104)

Font: TypeAlias = ImageFont.FreeTypeFont | ImageFont.ImageFont


@lru_cache(maxsize=32)
def font(size: int, *, bold: bool = False) -> Font:
    """Return the font with letters of `size` pixels; Pillow's own where matplotlib's is not installed."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    try:
        return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", name), size)
    except OSError:  # a distribution's matplotlib without its fonts
        return ImageFont.load_default(size)


def clean(text: str) -> str:
    """Return `text` on one line, without control characters and undecodable bytes."""
    valid = text.encode("utf-8", "replace").decode("utf-8")
    return " ".join("".join(c if c.isprintable() else " " for c in valid).split())


def text_width(text: str, letters: Font) -> int:
    """Return the width of one line in pixels, rounded up."""
    return int(-(-letters.getlength(text) // 1))


def line_height(letters: Font) -> int:
    """Return the pixels one line takes from the top of its letters to the bottom of a "g"."""
    if isinstance(letters, ImageFont.FreeTypeFont):
        return sum(letters.getmetrics())
    return int(letters.getbbox("Ág")[3])


def shorten(text: str, letters: Font, width: int) -> str:
    """Return the cleaned `text`, cut with an ellipsis where it is wider than `width` pixels."""
    text = clean(text)
    if text_width(text, letters) <= width:
        return text
    low, high = 0, len(text)  # the longest beginning that fits, by bisection: names may be very long
    while low < high:
        middle = (low + high + 1) // 2
        if text_width(text[:middle].rstrip() + ELLIPSIS, letters) <= width:
            low = middle
        else:
            high = middle - 1
    cut = text[:low].rstrip() + ELLIPSIS
    return cut if text_width(cut, letters) <= width else ""


def shorten_to(text: str, characters: int) -> str:
    """Return the cleaned `text`, cut with an ellipsis where it has more than `characters` characters."""
    text = clean(text)
    return text if len(text) <= characters else text[: characters - 1].rstrip() + ELLIPSIS
