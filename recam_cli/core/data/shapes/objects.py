"""The registry: which figure belongs to which class, where it is at home and with what it is often seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from recam_cli.core.data.shapes import animals, clutter, things
from recam_cli.core.data.shapes.canvas import Figure

Builder = Callable[[np.random.Generator], Figure]
Place = Literal["ground", "water", "air", "sky"]


@dataclass(frozen=True)
class Kind:
    """One class.

    Attributes:
        build: draws its figure.
        size: height at a relative object size of 1, as a share of the image's height.
        homes: backdrops it is seen on, see `backdrop.BACKDROPS`; the first is the usual one.
        place: what it stands on; "air" is anywhere, "sky" above the horizon.
    """

    build: Builder
    size: float
    homes: tuple[str, ...]
    place: Place = "ground"


KINDS: dict[str, Kind] = {
    "sailboat": Kind(things.sailboat, 1.0, ("lake",), "water"),
    "balloon": Kind(things.balloon, 0.95, ("lake", "meadow", "savanna"), "sky"),
    "elephant": Kind(animals.elephant, 0.88, ("savanna", "meadow")),
    "zebra": Kind(animals.zebra, 0.9, ("savanna", "meadow")),
    "mushroom": Kind(things.mushroom, 0.9, ("meadow", "yard")),
    "butterfly": Kind(animals.butterfly, 0.68, ("meadow", "yard"), "air"),
    "bus": Kind(things.bus, 0.66, ("street", "meadow")),
    "dog": Kind(animals.dog, 0.85, ("street", "yard", "meadow", "lake")),
}
CLASSES: tuple[str, ...] = tuple(KINDS)
"""The data set's classes; mask value k + 1 belongs to `CLASSES[k]`."""
PAIRS: tuple[tuple[str, str], ...] = (
    ("sailboat", "balloon"),
    ("elephant", "zebra"),
    ("mushroom", "butterfly"),
    ("bus", "dog"),
)
"""Classes that mostly stand in one picture."""

CLUTTER: dict[str, Builder] = {
    "bush": clutter.bush,
    "rock": clutter.rock,
    "tuft": clutter.tuft,
    "bale": clutter.bale,
    "crate": clutter.crate,
    "barrel": clutter.barrel,
    "fence": clutter.fence,
    "pole": clutter.pole,
}
"""Figures of no class: they stand around and in front of the objects."""
