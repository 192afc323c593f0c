"""Clutter: figures of no class that stand around and before the objects."""

from __future__ import annotations

import numpy as np

from recam_cli.core.data.shapes.canvas import Figure, Layer
from recam_cli.core.data.shapes.geometry import box, limb, polygon, ragged, ribbon, rounded
from recam_cli.core.data.shapes.texture import Colour, Material

WOOD = Material((132, 96, 62), (84, 58, 36), "planks", "fur", 0.15, 0.5, 0.0, 0.25)
BARK = Material((104, 82, 62), grain="fur", contrast=0.22, bump=0.9)
IRON = Material((92, 94, 98), contrast=0.07, gloss=0.4)


def foliage(rng: np.random.Generator) -> Material:
    """Draw leaves: green, sometimes turning."""
    greens: tuple[Colour, ...] = ((62, 92, 42), (84, 112, 46), (50, 78, 50), (112, 112, 50), (136, 96, 44))
    base = greens[int(rng.choice(5, p=(0.3, 0.25, 0.25, 0.12, 0.08)))]
    return Material(base, grain="leaf", contrast=0.24, bump=1.8)


def bush(rng: np.random.Generator) -> Figure:
    """A bush of a few leafy lobes."""
    lobes = [ragged(rng, x, -rng.uniform(0.2, 0.4), 0.28, 0.27, 0.2) for x in np.linspace(-0.45, 0.45, 4)]
    return [Layer(lobes, foliage(rng), 0.22)]


def rock(rng: np.random.Generator) -> Figure:
    """A rock, in colours that coats have too."""
    tones: tuple[Colour, ...] = ((134, 126, 118), (150, 116, 86), (96, 90, 88), (178, 160, 134))
    stone = Material(tones[int(rng.integers(4))], grain="cloud", contrast=0.16, bump=2.2)
    return [Layer([ragged(rng, 0, -0.26, 0.5, 0.28, 0.14)], stone, 0.2)]


def pole(rng: np.random.Generator) -> Figure:
    """A post or lamp pole."""
    material = IRON if rng.random() < 0.5 else BARK
    parts = limb([(0, 0), (0, -2.2)], [0.05, 0.04])
    if rng.random() < 0.5:
        parts.append(rounded([(-0.16, -2.1), (-0.1, -2.35), (0.1, -2.35), (0.16, -2.1)], 1))
    return [Layer(parts, material, 0.05)]


def tuft(rng: np.random.Generator) -> Figure:
    """A tuft of tall grass."""
    blades = []
    for x in rng.uniform(-0.4, 0.4, 14):
        lean, tall = x + rng.uniform(-0.25, 0.25), -rng.uniform(0.25, 0.6)
        blades.append(polygon([(x - 0.03, 0), (lean, tall), (x + 0.03, 0)]))
    return [Layer(blades, foliage(rng).but(grain="fur", bump=0.0), 0.0, shade=float(rng.uniform(0.8, 1.15)))]


def bale(rng: np.random.Generator) -> Figure:
    """A bale of straw, coat-coloured."""
    straw = Material((190, 156, 88), (150, 116, 60), "stripes", "fur", 0.2, 0.8, 0.0, 0.08)
    return [Layer([rounded([(-0.5, 0), (-0.5, -0.55), (0.5, -0.55), (0.5, 0)], 1)], straw, 0.08)]


def crate(rng: np.random.Generator) -> Figure:
    """A wooden crate."""
    rails = [
        box(-0.45, -0.8, 0.45, -0.68),
        box(-0.45, -0.12, 0.45, 0),
        polygon([(-0.45, -0.2), (-0.36, -0.12), (0.45, -0.6), (0.36, -0.68)]),
    ]
    return [Layer([box(-0.45, -0.8, 0.45, 0)], WOOD, 0.04), Layer(rails, WOOD.but(pattern="plain"), 0.03)]


def barrel(rng: np.random.Generator) -> Figure:
    """A barrel with iron hoops."""
    side = rounded([(-0.3, 0), (-0.42, -0.5), (-0.3, -1.0), (0.3, -1.0), (0.42, -0.5), (0.3, 0)])
    hoops = [ribbon([(-0.37, y), (0, y + 0.03), (0.37, y)], 0.03, 0.03) for y in (-0.78, -0.25)]
    return [Layer([side], WOOD, 0.3), Layer(hoops, IRON, 0.02)]


def fence(rng: np.random.Generator) -> Figure:
    """A stretch of wooden fence, open between its rails."""
    posts = [box(x, -0.75, x + 0.09, 0) for x in (-0.9, -0.32, 0.26, 0.84)]
    rails = [box(-1.0, y, 1.02, y + 0.08) for y in (-0.62, -0.3)]
    return [Layer([*posts, *rails], WOOD.but(pattern="plain"), 0.03)]
