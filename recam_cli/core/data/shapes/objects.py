"""The registry: which figure belongs to which class, and to which category of the pre-training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from recam_cli.core.data.shapes import animals, birds, clutter, quadrupeds, things, vehicles
from recam_cli.core.data.shapes.canvas import Figure
from recam_cli.core.data.shapes.texture import Material

Builder = Callable[[np.random.Generator, Material], Figure]


@dataclass(frozen=True)
class Family:
    """Classes that share a body.

    Attributes:
        name: for reading only.
        skin: draws a coat, paint or plumage; every member of the family draws from the same.
        members: figure by class name.
        size: pixels per figure unit at a relative object size of 1, as a share of the image's height.
        homes: backdrops on which the family is at home, see `backdrop.BACKDROPS`.
    """

    name: str
    skin: Callable[[np.random.Generator], Material]
    members: dict[str, Builder]
    size: float
    homes: tuple[str, ...]


FAMILIES: tuple[Family, ...] = (
    Family(
        "quadrupeds",
        quadrupeds.coat,
        {"horse": quadrupeds.horse, "cow": quadrupeds.cow, "deer": quadrupeds.deer},
        0.44,
        ("meadow", "yard"),
    ),
    Family(
        "cars",
        vehicles.lacquer,
        {"taxi": vehicles.taxi, "patrol": vehicles.patrol, "pickup": vehicles.pickup},
        0.38,
        ("street",),
    ),
    Family("birds", birds.plumage, {"duck": birds.duck, "rooster": birds.rooster}, 0.46, ("lake", "yard")),
)
CLASSES: tuple[str, ...] = tuple(name for family in FAMILIES for name in family.members)
"""The data set's classes; mask value k + 1 belongs to `CLASSES[k]`."""
FAMILY_OF: dict[str, Family] = {name: family for family in FAMILIES for name in family.members}

CLUTTER: dict[str, Callable[[np.random.Generator], Figure]] = {
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


def _relatives() -> dict[str, tuple[Callable[[np.random.Generator], Material], Builder]]:
    """Return the categories that share a body plan with the classes, by name."""
    walkers: tuple[Builder, ...] = (
        animals.zebra,
        animals.giraffe,
        animals.sheep,
        animals.goat,
        animals.pig,
        animals.dog,
        animals.camel,
        animals.elephant,
    )
    machines: tuple[Builder, ...] = (
        vehicles.bus,
        vehicles.lorry,
        vehicles.tractor,
        vehicles.bicycle,
        vehicles.sailboat,
        vehicles.steamboat,
    )
    fliers: tuple[Builder, ...] = (birds.swan, birds.heron, birds.owl, birds.parrot)
    kinds = ((quadrupeds.coat, walkers), (vehicles.lacquer, machines), (birds.plumage, fliers))
    return {build.__name__: (skin, build) for skin, builders in kinds for build in builders}


_RELATIVES = _relatives()
_THINGS: dict[str, Callable[[np.random.Generator], Figure]] = {
    build.__name__: build
    for build in (
        things.tree,
        things.flower,
        things.mushroom,
        things.cactus,
        things.apple,
        things.house,
        things.bottle,
        things.mug,
        things.ball,
        things.clock,
        things.umbrella,
        things.fish,
        things.butterfly,
        things.wheel,
        things.leaf,
    )
}
PRETRAIN_CATEGORIES: tuple[str, ...] = (*_RELATIVES, *_THINGS)
"""Categories of the single-object pictures; none of `CLASSES` or `CLUTTER` is among them."""


def category_figure(rng: np.random.Generator, name: str) -> Figure:
    """Return a figure of the pre-training category `name`."""
    if name in _THINGS:
        return _THINGS[name](rng)
    skin, build = _RELATIVES[name]
    return build(rng, skin(rng))
