"""Plants and things: further categories for pre-training."""

from __future__ import annotations

import numpy as np

from recam_cli.core.data.shapes.canvas import Figure, Layer
from recam_cli.core.data.shapes.clutter import BARK, IRON, WOOD, foliage
from recam_cli.core.data.shapes.geometry import blob, box, ellipse, limb, polygon, ragged, ribbon, rounded
from recam_cli.core.data.shapes.texture import Material

_CREAM = Material((236, 226, 200), contrast=0.05, gloss=0.2)
_BLACK = Material((28, 26, 28), contrast=0.08)


def _bright(rng: np.random.Generator, gloss: float = 0.4) -> Material:
    """Draw a lively colour."""
    hue = rng.uniform(0, 6)
    wheel = [float(np.clip(abs((hue + shift) % 6 - 3) - 1, 0, 1)) for shift in (0, 4, 2)]
    strength = rng.uniform(120, 225)
    red, green, blue = (strength * (0.2 + 0.8 * part) for part in wheel)
    return Material((red, green, blue), contrast=0.05, gloss=gloss)


def tree(rng: np.random.Generator) -> Figure:
    """A tree: trunk and crown."""
    crown = [ragged(rng, rng.uniform(-0.35, 0.35), -rng.uniform(1.1, 1.7), 0.42, 0.36, 0.2) for _ in range(6)]
    return [
        Layer(limb([(0, 0), (rng.uniform(-0.05, 0.05), -1.1)], [0.11, 0.07]), BARK, 0.08),
        Layer(crown, foliage(rng), 0.3),
    ]


def flower(rng: np.random.Generator) -> Figure:
    """A flower with petals around a disc."""
    angles = np.linspace(0, 2 * np.pi, int(rng.integers(6, 10)), endpoint=False)
    petals = [ellipse(0.27 * np.cos(a), -0.9 + 0.27 * np.sin(a), 0.19, 0.09, float(a)) for a in angles]
    stem = ribbon([(0, 0), (0.06, -0.4), (0, -0.9)], 0.03, 0.025)
    leaf_ = ribbon([(0.03, -0.3), (0.2, -0.42), (0.36, -0.4)], 0.01, 0.01, 0.07)
    return [
        Layer([stem, leaf_], foliage(rng), 0.02),
        Layer(petals, _bright(rng), 0.07),
        Layer([ellipse(0, -0.9, 0.14, 0.14)], Material((200, 150, 40), grain="leaf", bump=1.0), 0.08),
    ]


def mushroom(rng: np.random.Generator) -> Figure:
    """A mushroom with a spotted cap."""
    cap = blob([(-0.55, -0.52), (-0.4, -0.85), (0, -1.0), (0.4, -0.85), (0.55, -0.52), (0, -0.46)])
    spotted = _bright(rng).but(pattern="spots", second=(240, 234, 220), period=0.3)
    return [
        Layer([rounded([(-0.16, -0.55), (-0.22, 0), (0.22, 0), (0.16, -0.55)])], _CREAM, 0.14),
        Layer([cap], spotted, 0.25),
    ]


def cactus(rng: np.random.Generator) -> Figure:
    """A cactus with two arms."""
    ribbed = Material((84, 128, 72), (56, 94, 52), "stripes", "fine", 0.08, 0.3, 0.0, 0.06)
    arms = [
        *limb([(0, -0.5), (0.38, -0.55), (0.38, -0.95)], [0.09, 0.09, 0.08]),
        *limb([(0, -0.35), (-0.36, -0.4), (-0.36, -0.75)], [0.09] * 3),
    ]
    return [Layer([*limb([(0, 0), (0, -1.15)], [0.16, 0.15]), *arms], ribbed, 0.14)]


def apple(rng: np.random.Generator) -> Figure:
    """An apple with stalk and leaf."""
    flesh = blob(
        [
            (0, -0.78),
            (0.3, -0.86),
            (0.48, -0.5),
            (0.26, -0.03),
            (0, -0.06),
            (-0.26, -0.03),
            (-0.48, -0.5),
            (-0.3, -0.86),
        ]
    )
    skin = Material((186, 44, 38), (206, 180, 70), "patches", contrast=0.06, gloss=0.6, period=0.8)
    return [
        Layer([flesh], skin, 0.4),
        Layer([ribbon([(0, -0.76), (0.04, -0.98)], 0.03, 0.025)], BARK, 0.02),
        Layer([ribbon([(0.04, -0.9), (0.2, -1.02), (0.36, -0.98)], 0.01, 0.01, 0.08)], foliage(rng), 0.04),
    ]


def house(rng: np.random.Generator) -> Figure:
    """A house: walls, roof, door and windows."""
    wall = Material((176, 104, 80), (206, 198, 186), "brick", contrast=0.08, period=0.08)
    if rng.random() < 0.5:
        wall = Material((222, 212, 190), grain="cloud", contrast=0.05)
    roof = Material((134, 62, 46), (96, 44, 34), "brick", "fine", 0.1, period=0.15)
    panes = [box(x, -0.62, x + 0.24, -0.36) for x in (-0.52, 0.28)]
    glass = Material((80, 98, 116), contrast=0.05, gloss=0.4)
    return [
        Layer([box(-0.66, -0.8, 0.66, 0)], wall, 0.03),
        Layer([polygon([(-0.82, -0.76), (-0.45, -1.3), (0.45, -1.3), (0.82, -0.76)])], roof, 0.04),
        Layer(panes, glass, 0.02),
        Layer([box(-0.12, -0.5, 0.13, 0)], WOOD, 0.03),
    ]


def bottle(rng: np.random.Generator) -> Figure:
    """A bottle with a label."""
    glass = rounded(
        [
            (-0.24, 0),
            (-0.24, -0.8),
            (-0.08, -1.0),
            (-0.08, -1.35),
            (0.08, -1.35),
            (0.08, -1.0),
            (0.24, -0.8),
            (0.24, 0),
        ],
        2,
    )
    return [
        Layer([glass], _bright(rng, 0.9), 0.2),
        Layer([box(-0.235, -0.6, 0.235, -0.25)], _CREAM, 0.15),
        Layer([box(-0.09, -1.4, 0.09, -1.28)], _BLACK, 0.04),
    ]


def mug(rng: np.random.Generator) -> Figure:
    """A mug with a handle."""
    handle = ribbon([(0.32, -0.7), (0.62, -0.66), (0.6, -0.25), (0.32, -0.2)], 0.06, 0.06)
    paint = _bright(rng, 0.7)
    return [
        Layer([handle], paint, 0.05),
        Layer([rounded([(-0.36, 0), (-0.38, -0.88), (0.38, -0.88), (0.36, 0)], 1)], paint, 0.34),
        Layer([ellipse(0, -0.84, 0.35, 0.09)], _BLACK.but(colour=(90, 58, 40)), 0.02),
    ]


def ball(rng: np.random.Generator) -> Figure:
    """A ball with coloured panels."""
    paint = _bright(rng, 0.6).but(pattern="stripes", second=(238, 234, 226), period=0.45)
    return [Layer([ellipse(0, -0.5, 0.5, 0.5)], paint, 0.48)]


def clock(rng: np.random.Generator) -> Figure:
    """A clock face with two hands."""
    a, b = rng.uniform(0, 2 * np.pi, 2)
    hands = [
        *limb([(0, -0.55), (0.34 * float(np.cos(a)), -0.55 + 0.34 * float(np.sin(a)))], [0.03, 0.02]),
        *limb([(0, -0.55), (0.22 * float(np.cos(b)), -0.55 + 0.22 * float(np.sin(b)))], [0.035, 0.03]),
    ]
    marks = [
        ellipse(0.4 * np.cos(t), -0.55 + 0.4 * np.sin(t), 0.03, 0.03)
        for t in np.linspace(0, 2 * np.pi, 12, endpoint=False)
    ]
    return [
        Layer([ellipse(0, -0.55, 0.56, 0.56)], _bright(rng), 0.08),
        Layer([ellipse(0, -0.55, 0.47, 0.47)], _CREAM, 0.03),
        Layer([*marks, *hands], _BLACK, 0.0),
    ]


def umbrella(rng: np.random.Generator) -> Figure:
    """An open umbrella."""
    hem = [(x, -0.72 + 0.07 * (i % 2)) for i, x in enumerate(np.linspace(0.7, -0.7, 9))]
    cloth = _bright(rng).but(pattern="stripes", second=(236, 230, 220), period=0.4)
    return [
        Layer([ribbon([(0, -1.0), (0, -0.1), (0.1, -0.02), (0.17, -0.1)], 0.025, 0.025)], BARK, 0.02),
        Layer([blob([(-0.6, -0.98), (0, -1.3), (0.6, -0.98), *hem])], cloth, 0.25),
    ]


def fish(rng: np.random.Generator) -> Figure:
    """A fish with tail and fins."""
    scales = _bright(rng).but(grain="leaf", contrast=0.16, bump=0.8, pattern="patches", second=(226, 214, 190))
    trunk = blob([(0.7, -0.4), (0.3, -0.66), (-0.3, -0.56), (-0.55, -0.4), (-0.3, -0.22), (0.3, -0.14)])
    fins = [
        polygon([(-0.45, -0.4), (-0.85, -0.7), (-0.74, -0.4), (-0.85, -0.08)]),
        polygon([(0.25, -0.6), (-0.1, -0.84), (-0.2, -0.55)]),
    ]
    return [
        Layer(fins, scales, 0.05, 0.8),
        Layer([trunk], scales, 0.22),
        Layer([ellipse(0.45, -0.45, 0.06, 0.06)], _CREAM, 0.02),
        Layer([ellipse(0.46, -0.45, 0.03, 0.03)], _BLACK, 0.0),
    ]


def butterfly(rng: np.random.Generator) -> Figure:
    """A butterfly with spread wings."""
    wing = _bright(rng).but(pattern="spots", second=(30, 26, 26), grain="cloud", period=0.25)
    upper = [blob([(0, -0.55), (s * 0.3, -1.0), (s * 0.72, -0.95), (s * 0.6, -0.55)]) for s in (-1, 1)]
    lower = [blob([(0, -0.5), (s * 0.5, -0.52), (s * 0.52, -0.1), (s * 0.2, -0.08)]) for s in (-1, 1)]
    return [Layer([*lower, *upper], wing, 0.06), Layer([ellipse(0, -0.5, 0.055, 0.36)], _BLACK, 0.05)]


def wheel(rng: np.random.Generator) -> Figure:
    """A single spoked wheel."""
    spokes = [
        part
        for a in np.arange(0, np.pi, np.pi / 4)
        for part in limb(
            [
                (-0.4 * float(np.cos(a)), -0.5 - 0.4 * float(np.sin(a))),
                (0.4 * float(np.cos(a)), -0.5 + 0.4 * float(np.sin(a))),
            ],
            [0.04, 0.04],
        )
    ]
    return [
        Layer([ellipse(0, -0.5, 0.5, 0.5)], _BLACK, 0.1),
        Layer([ellipse(0, -0.5, 0.38, 0.38)], _BLACK, 0.0, 0.5),
        Layer([*spokes, ellipse(0, -0.5, 0.1, 0.1)], IRON.but(colour=(180, 180, 178)), 0.04),
    ]


def leaf(rng: np.random.Generator) -> Figure:
    """A single broad leaf with veins."""
    blade = blob([(0, -1.1), (0.34, -0.75), (0.38, -0.4), (0, -0.1), (-0.38, -0.4), (-0.34, -0.75)])
    veins = [ribbon([(0, 0), (0, -1.05)], 0.025, 0.008)]
    veins += [ribbon([(0, y), (s * 0.27, y - 0.14)], 0.012, 0.006) for y in (-0.3, -0.5, -0.7) for s in (-1, 1)]
    green = foliage(rng).but(contrast=0.10, bump=0.6)
    return [Layer([blade], green, 0.1), Layer(veins, green, 0.0, 1.5)]
