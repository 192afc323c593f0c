"""Animals: elephant, zebra, dog and butterfly."""

from __future__ import annotations

import numpy as np

from recam_cli.core.data.shapes.canvas import Figure, Layer
from recam_cli.core.data.shapes.geometry import Points, Polygon, blob, ellipse, limb, ribbon
from recam_cli.core.data.shapes.texture import Colour, Material

_BLACK = Material((22, 19, 18), grain="fur", contrast=0.12, gloss=0.3)
_WHITE = Material((238, 232, 220), grain="fur", contrast=0.07, bump=0.3)
_IVORY = Material((232, 220, 190), contrast=0.05, gloss=0.4)
_PINK = Material((214, 110, 112), contrast=0.05, gloss=0.4)
_EYE = Material((14, 11, 10), contrast=0.0, gloss=0.6)


def elephant(rng: np.random.Generator) -> Figure:
    """An elephant that faces right: fan ear, trunk, tusk, columns for legs."""
    tones: tuple[Colour, ...] = ((126, 122, 122), (140, 126, 112), (108, 106, 110), (150, 132, 112))
    hide = Material(tones[int(rng.integers(4))], grain="fine", contrast=0.07, bump=0.3)
    step = rng.uniform(-0.07, 0.07, 2)
    body = blob(
        [
            (-0.74, -0.66),
            (-0.62, -1.0),
            (-0.25, -1.14),
            (0.15, -1.1),
            (0.45, -1.04),
            (0.56, -0.7),
            (0.42, -0.4),
            (0.0, -0.34),
            (-0.45, -0.36),
            (-0.66, -0.46),
        ]
    )
    swing = float(rng.uniform(-0.12, 0.2))
    trunk = ribbon([(0.80, -0.98), (0.99, -0.74), (1.0, -0.4), (1.02 + swing, -0.12)], 0.17, 0.05, 0.09)
    ear = blob([(0.64, -1.14), (0.46, -1.26), (0.25, -1.14), (0.22, -0.86), (0.36, -0.6), (0.52, -0.72), (0.62, -0.92)])
    near = [*_column(0.32 + step[0]), *_column(-0.46 + step[1])]
    far = [*_column(0.5 - step[0]), *_column(-0.28 - step[1])]
    tail = ribbon([(-0.7, -0.9), (-0.83, -0.7), (-0.82, -0.44)], 0.03, 0.016)
    nails = [ellipse(x + d, -0.03, 0.032, 0.028) for x in (0.32 + step[0], -0.46 + step[1]) for d in (-0.06, 0.02, 0.1)]
    return [
        Layer([tail, ellipse(-0.82, -0.4, 0.035, 0.07)], hide, 0.02, shade=0.7),
        Layer(far, hide, 0.12, shade=0.62),
        Layer([body, ellipse(0.7, -0.99, 0.25, 0.26), *near], hide, 0.3),
        Layer(nails, _IVORY, 0.02, shade=0.8),
        Layer([trunk], hide, 0.11, shade=0.96),
        Layer(_bands(trunk, 9), hide, 0.0, shade=0.72),
        Layer([ribbon([(0.86, -0.8), (0.98, -0.64), (1.2, -0.66)], 0.045, 0.012)], _IVORY, 0.04),
        Layer([ear], hide, 0.05, shade=0.86),
        Layer([ellipse(0.79, -1.02, 0.026, 0.026)], _EYE, 0.0),
    ]


def _column(x: float) -> list[Polygon]:
    return limb([(x, -0.55), (x, -0.28), (x + 0.01, -0.06)], [0.19, 0.145, 0.135])


def _bands(band: Polygon, count: int) -> list[Polygon]:
    """Return `count` thin creases across a ribbon."""
    half = len(band) // 2
    places = np.linspace(2, half - 2, count).astype(int)
    return [ribbon([tuple(band[i]), tuple(band[-1 - i])], 0.006, 0.006) for i in places]


def zebra(rng: np.random.Generator) -> Figure:
    """A zebra that faces right: striped coat, ringed legs, standing mane, dark muzzle."""
    dark: Colour = (30, 26, 26)
    period = float(rng.uniform(0.085, 0.12))
    coat = Material((236, 230, 218), dark, "stripes", "fur", 0.06, 0.25, 0.1, period)
    socks = coat.but(pattern="hoops", period=0.16)
    lift = float(rng.uniform(0.05, 0.22))
    px, py = 0.76, -1.16 - lift  # top of the head
    mx, my = px + 0.26, py + 0.24
    trunk = [
        (0.52, -0.74),
        (0.46, -0.98),
        (0.2, -0.99),
        (-0.05, -0.96),
        (-0.34, -1.0),
        (-0.55, -0.9),
        (-0.56, -0.66),
        (-0.36, -0.52),
        (0.0, -0.46),
        (0.34, -0.5),
    ]
    neck = blob([(0.24, -0.96), (px - 0.12, py - 0.03), (px + 0.06, py + 0.02), (0.72, -0.9), (0.5, -0.6)])
    head = limb([(px, py + 0.05), (mx, my)], [0.125, 0.075])
    near, far = _legs(rng, 0.0), _legs(rng, 0.1)
    mane = ribbon([(px + 0.04, py - 0.12), (px - 0.14, py - 0.06), (0.42, -1.06), (0.24, -1.02)], 0.03, 0.02, 0.07)
    ear = ribbon([(px - 0.04, py - 0.02), (px - 0.07, py - 0.12), (px - 0.08, py - 0.22)], 0.05, 0.012, 0.05)
    tail = ribbon([(-0.54, -0.86), (-0.66, -0.7), (-0.66, -0.44)], 0.03, 0.02)
    return [
        Layer([tail, ellipse(-0.66, -0.36, 0.045, 0.13)], _BLACK, 0.03),
        Layer(far, socks, 0.05, shade=0.6),
        Layer(near, socks, 0.07),
        Layer(_hooves([*far, *near]), _BLACK, 0.03),
        Layer([mane], coat.but(period=period * 1.2), 0.03, shade=0.8),
        Layer([blob(trunk), neck, *head], coat, 0.2),
        Layer([ear], coat, 0.03),
        Layer([ellipse(mx + 0.01, my + 0.01, 0.1, 0.082)], _BLACK.but(colour=(52, 44, 42)), 0.06),
        Layer([ellipse(px + 0.09, py + 0.06, 0.024, 0.024)], _EYE, 0.0),
    ]


def _legs(rng: np.random.Generator, forward: float) -> list[Polygon]:
    front, hind = rng.uniform(-0.1, 0.1, 2)
    return [
        *limb(
            [(0.36, -0.66), (0.37 + forward + front * 0.3, -0.34), (0.36 + forward + front, -0.04)], [0.14, 0.07, 0.05]
        ),
        *limb(
            [(-0.38, -0.7), (-0.48 + forward + hind * 0.3, -0.36), (-0.42 + forward + hind, -0.04)], [0.19, 0.07, 0.05]
        ),
    ]


def _hooves(legs: list[Polygon]) -> list[Polygon]:
    feet = [leg.mean(axis=0) for leg in legs[2::5]]  # the last joint of each leg
    return [ellipse(float(x) + 0.015, float(y) + 0.02, 0.065, 0.04) for x, y in feet]


def dog(rng: np.random.Generator) -> Figure:
    """A dog that sits and looks to the right: hanging ears, pale chest and muzzle, collar."""
    coats: tuple[Colour, ...] = ((168, 104, 54), (206, 160, 98), (92, 60, 40), (62, 54, 52), (186, 124, 70))
    tone = coats[int(rng.integers(5))]
    coat = Material(tone, grain="fur", contrast=0.1, bump=0.5)
    dark = coat.but(colour=tuple(0.62 * part for part in tone))
    pale = _WHITE if rng.random() < 0.7 else coat.but(colour=tuple(min(1.35 * part + 20, 235) for part in tone))
    wag = float(rng.uniform(-0.1, 0.15))
    torso: Points = [
        (-0.34, -0.08),
        (-0.36, -0.38),
        (-0.2, -0.72),
        (0.02, -0.92),
        (0.28, -0.82),
        (0.32, -0.45),
        (0.3, -0.08),
    ]
    bib: Points = [(0.1, -0.84), (0.27, -0.76), (0.31, -0.45), (0.22, -0.16), (0.1, -0.26), (0.06, -0.55)]
    near_ear: Points = [(0.0, -1.24), (-0.14, -1.16), (-0.2, -0.9), (-0.12, -0.74), (0.0, -0.84), (0.03, -1.04)]
    far_ear: Points = [(0.28, -1.22), (0.42, -1.14), (0.45, -0.92), (0.37, -0.84), (0.3, -0.98)]
    collar = Material(((186, 30, 34), (30, 70, 170), (40, 130, 70))[int(rng.integers(3))], contrast=0.04, gloss=0.4)
    return [
        Layer([ribbon([(-0.26, -0.1), (-0.5, -0.14), (-0.62, -0.36 - wag)], 0.07, 0.03)], coat, 0.06),
        Layer([blob(far_ear)], dark, 0.06, shade=0.85),
        Layer([blob(torso)], coat, 0.22),
        Layer([blob(bib)], pale, 0.12),
        Layer([ellipse(-0.17, -0.22, 0.27, 0.21)], coat, 0.16),
        Layer([ellipse(0.0, -0.045, 0.2, 0.065)], pale, 0.05),
        Layer(
            [*limb([(0.1, -0.46), (0.12, -0.07)], [0.1, 0.07]), *limb([(0.25, -0.44), (0.28, -0.06)], [0.09, 0.066])],
            coat,
            0.08,
        ),
        Layer([ellipse(0.15, -0.05, 0.1, 0.06), ellipse(0.31, -0.045, 0.1, 0.06)], pale, 0.05),
        Layer([ribbon([(-0.08, -0.84), (0.12, -0.76), (0.32, -0.84)], 0.04, 0.04)], collar, 0.03),
        Layer([ellipse(0.15, -1.04, 0.26, 0.24)], coat, 0.2),
        Layer([blob([(0.17, -1.26), (0.25, -1.2), (0.3, -1.02), (0.2, -0.98), (0.15, -1.1)])], pale, 0.05),
        Layer([ellipse(0.27, -0.93, 0.19, 0.135)], pale, 0.12),
        Layer([blob([(0.28, -0.85), (0.37, -0.86), (0.36, -0.73), (0.31, -0.71)])], _PINK, 0.03),
        Layer([ribbon([(0.15, -0.86), (0.28, -0.83), (0.42, -0.89)], 0.012, 0.008)], _EYE, 0.0),
        Layer([ellipse(0.38, -0.99, 0.07, 0.055)], _EYE, 0.04),
        Layer([ellipse(0.11, -1.08, 0.036, 0.04), ellipse(0.3, -1.1, 0.032, 0.038)], _EYE, 0.0),
        Layer([ellipse(0.12, -1.095, 0.011, 0.012), ellipse(0.31, -1.115, 0.01, 0.011)], _WHITE, 0.0),
        Layer([blob(near_ear)], dark, 0.08),
    ]


def butterfly(rng: np.random.Generator) -> Figure:
    """A butterfly with spread wings: black rims with white dots around coloured cells."""
    tones: tuple[Colour, ...] = ((232, 124, 28), (236, 150, 36), (60, 120, 220), (226, 92, 34))
    cells = Material(tones[int(rng.integers(4))], grain="cloud", contrast=0.1, gloss=0.15)
    fold = float(rng.uniform(0.8, 1.0))
    upper: Points = [(0.03, -0.62), (0.3, -1.06), (0.74, -1.2), (0.9, -1.0), (0.74, -0.7), (0.4, -0.52)]
    lower: Points = [(0.03, -0.5), (0.42, -0.54), (0.68, -0.42), (0.66, -0.12), (0.4, 0.02), (0.16, -0.18)]
    rims, inner, veins, dots = [], [], [], []
    for side in (-fold, fold):
        for wing, root in ((upper, (0.05, -0.6)), (lower, (0.05, -0.48))):
            outline = blob(wing) * (side, 1)
            middle = outline.mean(axis=0)
            rims.append(outline)
            inner.append(middle + 0.82 * (outline - middle))
            veins += [ribbon([(root[0] * side, root[1]), (x * side, y)], 0.014, 0.022) for x, y in wing[2:5]]
            edge = middle + 0.91 * (outline - middle)
            dots += [ellipse(float(x), float(y), 0.021, 0.021) for x, y in edge[10:27:3]]
    feelers = [ribbon([(0, -0.78), (s * 0.08, -0.98), (s * 0.2, -1.12)], 0.013, 0.01) for s in (-1, 1)]
    return [
        Layer(rims, _BLACK, 0.05),
        Layer(inner, cells, 0.06),
        Layer(veins, _BLACK, 0.0),
        Layer(dots, _WHITE.but(bump=0.0), 0.0),
        Layer([*feelers, ellipse(0, -0.78, 0.065, 0.07), ellipse(0, -0.5, 0.065, 0.3)], _BLACK, 0.05),
    ]
