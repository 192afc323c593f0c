"""Things and plants: sailing boat, balloon, bus and toadstool."""

from __future__ import annotations

import numpy as np

from recam_cli.core.data.shapes.canvas import Figure, Layer
from recam_cli.core.data.shapes.geometry import Points, Polygon, blob, box, ellipse, pane, polygon, ribbon, rounded
from recam_cli.core.data.shapes.texture import Colour, Material

_GLASS = Material((62, 80, 96), (150, 172, 188), "patches", "cloud", 0.05, gloss=0.5, period=2.0)
_RUBBER = Material((34, 33, 34), contrast=0.12, bump=0.4)
_STEEL = Material((150, 152, 155), grain="cloud", contrast=0.1, gloss=0.5)
_LAMP = Material((250, 240, 200), contrast=0.02, gloss=0.8)
_WOOD = Material((142, 98, 58), (92, 62, 38), "planks", "fur", 0.14, period=0.4)
_WICKER = Material((150, 104, 58), (96, 62, 32), "check", "fur", 0.15, 0.4, period=0.16)
_WHITE = Material((236, 234, 228), contrast=0.03, gloss=0.2)
_LIVELY: tuple[Colour, ...] = (
    (214, 42, 38),
    (240, 180, 36),
    (40, 92, 190),
    (46, 150, 84),
    (232, 112, 32),
    (124, 62, 160),
    (238, 234, 226),
)


def _lively(rng: np.random.Generator, count: int) -> list[Material]:
    """Draw `count` different lively colours."""
    chosen = rng.choice(len(_LIVELY), count, replace=False)
    return [Material(_LIVELY[int(index)], grain="cloud", contrast=0.05, gloss=0.25) for index in chosen]


def sailboat(rng: np.random.Generator) -> Figure:
    """A sailing boat under mainsail and jib."""
    sheets: tuple[Colour, ...] = ((240, 236, 224), (240, 236, 224), (232, 220, 190), (204, 78, 52))
    cloth = Material(sheets[int(rng.integers(4))], grain="cloud", contrast=0.04)
    jib = cloth if rng.random() < 0.6 else _lively(rng, 1)[0]
    belly = float(rng.uniform(0.02, 0.12))
    main = _sail([(-0.02, -1.86), (-0.02, -0.42), (-0.92, -0.46)], belly)
    fore = _sail([(0.06, -1.66), (0.9, -0.46), (0.1, -0.48)], belly)
    seams = [ribbon([(-0.02, y), (-0.02 - 0.6 * (1.86 + y), y - 0.01)], 0.007, 0.007) for y in (-0.75, -1.05, -1.35)]
    paint = _lively(rng, 1)[0]
    hull: Points = [(-1.0, -0.36), (1.16, -0.42), (0.86, -0.04), (0.72, 0.02), (-0.76, 0.02), (-0.92, -0.08)]
    return [
        Layer([main], cloth, 0.35),
        Layer(seams, cloth, 0.0, shade=0.8),
        Layer([fore], jib, 0.3, shade=0.94),
        Layer([box(-0.03, -1.95, 0.03, -0.3), box(-0.92, -0.44, 0.0, -0.4)], _WOOD, 0.02),
        Layer([rounded([(-0.4, -0.34), (-0.36, -0.5), (0.34, -0.5), (0.5, -0.36)], 1)], _WHITE, 0.06),
        Layer([ellipse(x, -0.43, 0.055, 0.035) for x in (-0.2, 0.02, 0.24)], _GLASS, 0.01),
        Layer([rounded(hull, 1)], paint, 0.16),
        Layer([polygon([(-0.99, -0.35), (1.12, -0.41), (1.06, -0.32), (-0.96, -0.27)])], _WHITE, 0.02),
    ]


def _sail(corners: Points, belly: float) -> Polygon:
    """Return a sail through three corners whose sides bulge."""
    knots = polygon(corners)
    middle = knots.mean(axis=0)
    sides = []
    for start, end in zip(knots, np.roll(knots, -1, axis=0), strict=True):
        along = np.linspace(0, 1, 8, endpoint=False)[:, None]
        outward = (start + end) / 2 - middle
        sides.append(start + along * (end - start) + belly * 4 * along * (1 - along) * outward / np.hypot(*outward))
    return np.concatenate(sides)


def balloon(rng: np.random.Generator) -> Figure:
    """A hot-air balloon: an envelope of coloured gores above a wicker basket."""
    paints = _lively(rng, int(rng.integers(2, 4)))
    profile: Points = [
        (0, -2.1),
        (0.42, -2.02),
        (0.72, -1.72),
        (0.76, -1.36),
        (0.6, -0.98),
        (0.34, -0.66),
        (0.17, -0.5),
        (-0.17, -0.5),
        (-0.34, -0.66),
        (-0.6, -0.98),
        (-0.76, -1.36),
        (-0.72, -1.72),
        (-0.42, -2.02),
    ]
    envelope = blob(profile)
    gores = [
        Layer([envelope * (share, 1.0)], paints[number % len(paints)], 0.55 * share + 0.05)
        for number, share in enumerate((1.0, 0.82, 0.56, 0.22))
    ]
    belt = [ribbon([(-w, y), (0, y + 0.06), (w, y)], 0.05, 0.05) for y, w in ((-1.5, 0.72),)]
    ropes = [ribbon([(x, -0.5), (0.75 * x, -0.22)], 0.012, 0.012) for x in (-0.15, -0.05, 0.05, 0.15)]
    trim = [Layer(belt, paints[-1], 0.0, shade=0.95)] if rng.random() < 0.4 else []
    return [
        Layer(ropes, _RUBBER, 0.0),
        *gores,
        *trim,
        Layer([rounded([(-0.17, -0.5), (-0.12, -0.42), (0.12, -0.42), (0.17, -0.5)], 1)], paints[0], 0.04, shade=0.6),
        Layer([rounded([(-0.15, -0.25), (-0.12, 0.0), (0.12, 0.0), (0.15, -0.25)], 1)], _WICKER, 0.08),
        Layer([box(-0.16, -0.27, 0.16, -0.23)], _WOOD.but(pattern="plain"), 0.02),
    ]


def bus(rng: np.random.Generator) -> Figure:
    """A bus that drives to the right: a long body, a row of windows, door, wheels."""
    paints: tuple[Colour, ...] = ((240, 176, 24), (240, 176, 24), (196, 36, 34), (40, 98, 170), (54, 128, 84))
    paint = Material(paints[int(rng.integers(5))], grain="cloud", contrast=0.05, bump=0.3, gloss=0.5)
    hull = rounded(
        [(-1.32, -0.16), (-1.33, -1.08), (-1.24, -1.15), (1.14, -1.15), (1.28, -1.05), (1.36, -0.5), (1.36, -0.16)], 1
    )
    panes = [pane(x, -0.98, x + 0.32, -0.62) for x in np.arange(-1.23, 0.5, 0.37)]
    front = polygon([(1.09, -0.56), (1.09, -0.98), (1.24, -0.98), (1.31, -0.56)])
    door = [pane(x, -0.98, x + 0.16, -0.2, 0.03) for x in (0.68, 0.86)]
    stripes = [box(-1.31, y, 0.62, y + 0.035) for y in (-0.52, -0.36)]
    band = _RUBBER if rng.random() < 0.6 else _WHITE
    return [
        Layer([box(-1.35, -0.26, 1.39, -0.15)], _RUBBER, 0.03),
        Layer([hull], paint, 0.14),
        Layer([box(-1.24, -1.13, 1.1, -1.09)], paint, 0.0, shade=1.25),
        Layer(stripes, band, 0.0),
        Layer([*panes, front], _GLASS, 0.03),
        Layer([box(0.65, -1.01, 1.04, -0.19)], paint, 0.02, shade=0.6),
        Layer(door, _GLASS, 0.02),
        Layer([ellipse(1.29, -0.34, 0.05, 0.065)], _LAMP, 0.03),
        Layer([box(-1.33, -0.44, -1.27, -0.3)], Material((190, 26, 24), gloss=0.6), 0.02),
        *_wheels((-0.78, 0.42), 0.21),
    ]


def _wheels(places: tuple[float, ...], radius: float) -> Figure:
    return [
        Layer([ellipse(x, -radius, radius * 1.2, radius * 1.2) for x in places], _RUBBER, 0.0, shade=0.5),
        Layer([ellipse(x, -radius, radius, radius) for x in places], _RUBBER, 0.06),
        Layer([ellipse(x, -radius, radius * 0.58, radius * 0.58) for x in places], _STEEL, 0.05),
        Layer([ellipse(x, -radius, radius * 0.2, radius * 0.2) for x in places], _RUBBER, 0.0),
    ]


def mushroom(rng: np.random.Generator) -> Figure:
    """A toadstool: a red cap with white spots on a pale, ringed stalk."""
    red = Material((204, 38, 28), grain="cloud", contrast=0.08, gloss=0.35)
    pale = Material((232, 222, 200), grain="fur", contrast=0.08, bump=0.2)
    high, wide = float(rng.uniform(0.5, 0.85)), float(rng.uniform(0.7, 0.85))
    arch = float(rng.uniform(0.55, 0.75))
    stalk: Points = [(-0.2, 0.0), (-0.17, -0.1), (-0.11, -high), (0.11, -high), (0.17, -0.1), (0.2, 0.0)]
    half: list[tuple[float, float]] = [
        (wide, -high),
        (0.86 * wide, -high - 0.42 * arch),
        (0.45 * wide, -high - 0.88 * arch),
    ]
    rim = [(0.5 * wide, 0.1 - high), (-0.5 * wide, 0.1 - high)]
    cap = [*((-x, y) for x, y in half), (0.0, -high - arch), *reversed(half), *rim]
    return [
        Layer([blob(stalk)], pale, 0.16),
        Layer([ribbon([(-0.2, 0.22 - high), (0, 0.27 - high), (0.2, 0.22 - high)], 0.06, 0.06)], pale, 0.04, shade=0.9),
        Layer([ellipse(0, -high + 0.04, 0.8 * wide, 0.11)], pale, 0.03, shade=0.7),
        Layer([blob(cap)], red, 0.5),
        Layer(_spots(rng, wide, high, arch), pale, 0.04, shade=1.05),
    ]


def _spots(rng: np.random.Generator, wide: float, high: float, arch: float) -> list[Polygon]:
    """Return the spots of a cap, smaller towards its edge."""
    lower = ((-0.62, 0.3), (-0.22, 0.28), (0.24, 0.32), (0.64, 0.26))
    upper = ((-0.4, 0.58), (0.02, 0.66), (0.42, 0.56))
    spots = []
    for x, up in (*lower, *upper):
        size = float(rng.uniform(0.07, 0.12)) * (1.1 - 0.5 * abs(x))
        shift = float(rng.uniform(-0.05, 0.05))
        spots.append(ellipse((x + shift) * wide, -high - up * arch, size, 0.75 * size))
    return spots
