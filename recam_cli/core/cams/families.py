"""Longer sides at which class maps may be read, to choose from without ground truth."""

from __future__ import annotations

SIDES = ((192, 256, 384, 512), (320, 448, 640), (512, 768, 1024))
"""Single objects that fill the picture want few pixels, as a classifier trained on crops of 224 sees them whole then;
small marks on a texture want many, as a map has a cell per 16 pixels."""
SAMPLE = 30
"""Photographs that are compared: enough for differences of a few points, in seconds."""
_LARGEST = 2
"""A photograph is not enlarged beyond so many times its size to be looked at closer: it holds no more."""


def other_sides(sides: tuple[int, ...], longest: float) -> list[tuple[int, ...]]:
    """Return the sides to try besides `sides` on photographs of the longer side `longest`: none that only enlarge."""
    return [family for family in SIDES if family != sides and max(family) <= _LARGEST * longest]
