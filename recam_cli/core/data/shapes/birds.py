"""Birds on one body plan: trunk, wing and plumage are shared, heads and tails tell them apart."""

from __future__ import annotations

import numpy as np

from recam_cli.core.data.shapes.canvas import Figure, Layer
from recam_cli.core.data.shapes.geometry import blob, ellipse, limb, polygon, ribbon
from recam_cli.core.data.shapes.texture import Colour, Material

PLUMAGES: tuple[Colour, ...] = (
    (226, 220, 208),
    (124, 84, 54),
    (110, 110, 114),
    (58, 52, 50),
    (186, 132, 72),
    (150, 116, 92),
)
_ORANGE = Material((232, 142, 36), contrast=0.05, gloss=0.2)
_YELLOW = Material((232, 190, 70), contrast=0.05, gloss=0.2)
_RED = Material((206, 34, 32), grain="leaf", contrast=0.08, bump=0.4)
_EYE = Material((14, 12, 12), contrast=0.0)


def plumage(rng: np.random.Generator) -> Material:
    """Draw a plumage. All birds draw from the same colours."""
    base, other = (PLUMAGES[index] for index in rng.choice(len(PLUMAGES), 2, replace=False))
    shift = rng.uniform(0.88, 1.1)
    red, green, blue = (float(min(value * shift, 235)) for value in base)
    pattern = "patches" if rng.random() < 0.3 else "plain"
    return Material((red, green, blue), other, pattern, "leaf", 0.10, 0.6, 0.05, 0.3)  # type: ignore[arg-type]


def trunk(rng: np.random.Generator, feathers: Material, legs: float = 0.26) -> Figure:
    """Return the shared part of a bird that faces right, without its head: legs, body, wing."""
    step = rng.uniform(-0.08, 0.08)
    shins = [
        *limb([(0.02, -legs - 0.1), (0.0 + step, 0)], [0.03, 0.022]),
        *limb([(0.14, -legs - 0.1), (0.16 - step, 0)], [0.03, 0.022]),
    ]
    toes = [polygon([(x - 0.05, 0.02), (x, -0.04), (x + 0.12, 0.02)]) for x in (step, 0.16 - step)]
    top, low = -legs - 0.52, -legs
    body = blob(
        [
            (0.48, top + 0.14),
            (0.30, top),
            (-0.1, top + 0.04),
            (-0.56, top + 0.08),
            (-0.40, low - 0.14),
            (0.0, low + 0.02),
            (0.36, low - 0.08),
        ]
    )
    wing = blob(
        [
            (0.24, top + 0.16),
            (0.0, top + 0.10),
            (-0.46, top + 0.16),
            (-0.50, top + 0.24),
            (-0.16, low - 0.12),
            (0.16, low - 0.16),
        ]
    )
    quills = [
        ribbon([(0.1 - 0.12 * i, low - 0.2 - 0.02 * i), (-0.2 - 0.1 * i, top + 0.3 - 0.03 * i)], 0.012, 0.006)
        for i in range(3)
    ]
    return [
        Layer([*shins, *toes], _ORANGE, 0.02),
        Layer([body], feathers, 0.22),
        Layer([wing], feathers.but(bump=1.2, contrast=0.16), 0.10, shade=0.82),
        Layer(quills, feathers, 0.0, shade=0.5),
    ]


def duck(rng: np.random.Generator, feathers: Material) -> Figure:
    """A duck: a broad flat orange bill and a white neck ring."""
    figure = trunk(rng, feathers)
    reach = rng.uniform(0.0, 0.08)
    x, y = 0.46 + reach, -1.06
    ring = ribbon([(0.32 + reach / 2, -0.86), (0.52 + reach / 2, -0.84)], 0.035, 0.035)
    bill = blob(
        [
            (x + 0.08, y - 0.05),
            (x + 0.26, y + 0.0),
            (x + 0.40, y + 0.01),
            (x + 0.40, y + 0.08),
            (x + 0.22, y + 0.10),
            (x + 0.08, y + 0.09),
        ]
    )
    curl = ribbon([(-0.46, -0.68), (-0.62, -0.76), (-0.58, -0.86)], 0.05, 0.012)
    return [
        Layer([curl], feathers, 0.03),
        *figure,
        *_head(feathers, (0.36, -0.70), (x, y)),
        Layer([ring], Material((238, 236, 230), contrast=0.05), 0.02, telling=True),
        Layer([bill], _ORANGE, 0.05, telling=True),
    ]


def rooster(rng: np.random.Generator, feathers: Material) -> Figure:
    """A rooster: red comb and wattle, arched tail feathers."""
    figure = trunk(rng, feathers)
    reach = rng.uniform(0.0, 0.08)
    x, y = 0.44 + reach, -1.08
    comb = blob(
        [
            (x - 0.12, y - 0.06),
            (x - 0.14, y - 0.22),
            (x - 0.05, y - 0.15),
            (x - 0.01, y - 0.27),
            (x + 0.04, y - 0.15),
            (x + 0.12, y - 0.22),
            (x + 0.11, y - 0.04),
        ]
    )
    wattle = ellipse(x + 0.11, y + 0.17, 0.05, 0.09)
    beak = polygon([(x + 0.10, y - 0.05), (x + 0.25, y + 0.03), (x + 0.10, y + 0.07)])
    sickles = [
        ribbon(
            [(-0.42, -0.62), (-0.62 - 0.05 * i, -1.04 + 0.1 * i), (-0.88, -0.80 + 0.16 * i)],
            0.06,
            0.015,
            0.055,
        )
        for i in range(3)
    ]
    tail = feathers.but(colour=(34, 58, 52), pattern="plain", gloss=0.4)
    return [
        Layer(sickles, tail, 0.04, telling=True),
        *figure,
        *_head(feathers, (0.34, -0.70), (x, y)),
        Layer([beak], _YELLOW, 0.03),
        Layer([comb, wattle], _RED, 0.04, telling=True),
    ]


def swan(rng: np.random.Generator, feathers: Material) -> Figure:
    """A swan: white, with a long curved neck."""
    white = feathers.but(colour=(232, 230, 224), pattern="plain")
    neck = ribbon([(0.36, -0.55), (0.56, -0.8), (0.36, -1.1), (0.50, -1.36), (0.64, -1.3)], 0.12, 0.08, 0.075)
    beak = polygon([(0.66, -1.37), (0.86, -1.24), (0.66, -1.22)])
    return [
        *trunk(rng, white),
        Layer([neck], white, 0.07),
        Layer([beak], _ORANGE, 0.03),
        Layer([ellipse(0.62, -1.34, 0.02, 0.02)], _EYE, 0.0),
    ]


def heron(rng: np.random.Generator, feathers: Material) -> Figure:
    """A heron: long legs, crooked neck, dagger bill."""
    grey = feathers.but(colour=(140, 146, 154), pattern="plain")
    legs = 0.8
    neck = ribbon(
        [(0.4, -legs - 0.3), (0.56, -legs - 0.55), (0.42, -legs - 0.8), (0.6, -legs - 0.96)], 0.09, 0.06, 0.05
    )
    bill = polygon([(0.58, -legs - 1.02), (1.0, -legs - 0.9), (0.58, -legs - 0.9)])
    crest = ribbon([(0.6, -legs - 1.0), (0.4, -legs - 1.06), (0.22, -legs - 0.98)], 0.03, 0.008)
    return [
        *trunk(rng, grey, legs),
        Layer([neck], grey, 0.05),
        Layer([crest], _EYE, 0.0),
        Layer([bill], _YELLOW, 0.02),
    ]


def owl(rng: np.random.Generator, feathers: Material) -> Figure:
    """An owl: upright, with two great eyes."""
    body = blob([(0, -1.1), (0.32, -0.95), (0.36, -0.4), (0.16, -0.05), (-0.16, -0.05), (-0.36, -0.4), (-0.32, -0.95)])
    tufts = [polygon([(s * 0.32, -1.2), (s * 0.30, -0.86), (s * 0.08, -1.02)]) for s in (-1, 1)]
    barred = feathers.but(pattern="spots", period=0.1)
    disc = Material((222, 196, 150), grain="fur", contrast=0.1)
    return [
        Layer([body, *tufts], barred, 0.2),
        Layer([ellipse(s * 0.14, -0.84, 0.15, 0.16) for s in (-1, 1)], disc, 0.05),
        Layer([ellipse(s * 0.13, -0.84, 0.085, 0.085) for s in (-1, 1)], _YELLOW, 0.03),
        Layer([ellipse(s * 0.13, -0.84, 0.05, 0.05) for s in (-1, 1)], _EYE, 0.0),
        Layer([polygon([(-0.05, -0.78), (0.05, -0.78), (0, -0.64)])], _ORANGE, 0.02),
        Layer([ellipse(s * 0.3, -0.45, 0.11, 0.33, s * -0.1) for s in (-1, 1)], feathers, 0.08, shade=0.75),
    ]


def parrot(rng: np.random.Generator, feathers: Material) -> Figure:
    """A parrot: gaudy, hooked beak, long straight tail."""
    colours: tuple[Colour, ...] = ((206, 44, 40), (40, 150, 70), (44, 100, 200), (236, 190, 50))
    first, second = (colours[index] for index in rng.choice(4, 2, replace=False))
    gaudy = feathers.but(colour=first, second=second, pattern="patches")
    tail = ribbon([(-0.36, -0.6), (-0.8, -0.34), (-1.2, -0.1)], 0.12, 0.03)
    hook = ribbon([(0.5, -1.1), (0.66, -1.08), (0.66, -0.94)], 0.07, 0.01)
    return [
        Layer([tail], gaudy.but(colour=second, pattern="plain"), 0.06),
        *trunk(rng, gaudy),
        *_head(gaudy, (0.34, -0.70), (0.44, -1.04)),
        Layer([hook], Material((44, 40, 40), gloss=0.3), 0.04),
    ]


def _head(feathers: Material, root: tuple[float, float], at: tuple[float, float]) -> Figure:
    eye = ellipse(at[0] + 0.05, at[1] - 0.03, 0.025, 0.025)
    return [Layer(limb([root, at], [0.17, 0.145]), feathers, 0.13), Layer([eye], _EYE, 0.0)]
