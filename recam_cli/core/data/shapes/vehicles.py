"""Vehicles: cars on one chassis told apart by what stands on it, and boats on one hull."""

from __future__ import annotations

import numpy as np

from recam_cli.core.data.shapes.canvas import Figure, Layer
from recam_cli.core.data.shapes.geometry import Polygon, box, ellipse, limb, polygon, ribbon, rounded
from recam_cli.core.data.shapes.texture import Colour, Material

LACQUERS: tuple[Colour, ...] = (
    (150, 40, 36),
    (44, 66, 112),
    (226, 226, 222),
    (40, 42, 46),
    (146, 150, 154),
    (52, 92, 74),
    (196, 160, 70),
    (104, 62, 80),
)
_GLASS = Material((74, 92, 106), (150, 168, 180), "patches", "cloud", 0.05, gloss=0.5, period=2.0)
_RUBBER = Material((38, 37, 38), contrast=0.12, bump=0.4)
_STEEL = Material((138, 140, 143), grain="cloud", contrast=0.12, gloss=0.5)
_LAMP = Material((250, 238, 190), contrast=0.02, gloss=0.8)
_BRAKE = Material((176, 30, 26), contrast=0.02, gloss=0.6)
_WOOD = Material((140, 100, 62), (92, 62, 38), "planks", "fur", 0.14, period=0.4)


def lacquer(rng: np.random.Generator) -> Material:
    """Draw a paint. All cars draw from the same paints."""
    base = LACQUERS[int(rng.integers(len(LACQUERS)))]
    shift = rng.uniform(0.85, 1.12)
    red, green, blue = (float(min(value * shift, 240)) for value in base)
    return Material((red, green, blue), grain="cloud", contrast=0.07, bump=0.5, gloss=0.7)


def chassis(rng: np.random.Generator, paint: Material) -> Figure:
    """Return the part that all cars share: lower body, wheels, lamps, doors."""
    hull = rounded([(-1.02, -0.16), (-1.02, -0.44), (-0.7, -0.52), (0.5, -0.52), (0.98, -0.42), (1.03, -0.16)])
    sill = box(-0.98, -0.20, 0.98, -0.15)
    doors = [box(x, -0.49, x + 0.014, -0.2) for x in (-0.40, 0.06, 0.50)]
    handles = [box(x, -0.43, x + 0.10, -0.405) for x in (-0.34, 0.12)]
    return [
        Layer([hull], paint, 0.16),
        Layer([*doors, sill], paint, 0.0, shade=0.45),
        Layer(handles, _STEEL, 0.0),
        Layer([ellipse(0.95, -0.35, 0.06, 0.05)], _LAMP, 0.03),
        Layer([box(-1.01, -0.42, -0.94, -0.32)], _BRAKE, 0.02),
        Layer([box(0.1, -0.52, 0.96, -0.505), box(-1.0, -0.27, 1.0, -0.255)], paint, 0.0, shade=1.4),
        *wheels((-0.60, 0.60), 0.17),
    ]


def wheels(places: tuple[float, ...], radius: float) -> Figure:
    """Return wheels standing on the ground at `places`."""
    arches = [ellipse(x, -radius, radius * 1.2, radius * 1.15) for x in places]
    return [
        Layer(arches, _RUBBER, 0.0, shade=0.4),
        Layer([ellipse(x, -radius, radius, radius) for x in places], _RUBBER, 0.06),
        Layer([ellipse(x, -radius, radius * 0.55, radius * 0.55) for x in places], _STEEL, 0.05),
        Layer([ellipse(x, -radius, radius * 0.16, radius * 0.16) for x in places], _RUBBER, 0.0),
    ]


def taxi(rng: np.random.Generator, paint: Material) -> Figure:
    """A taxi: a lit sign on the roof, a chequered band on the doors."""
    figure = _saloon(rng, paint)
    sign = rounded([(-0.26, -0.87), (-0.20, -1.06), (0.12, -1.06), (0.18, -0.87)], 1)
    lettering = box(-0.15, -0.99, 0.07, -0.94)
    chequers = Material((240, 236, 220), (24, 24, 26), "check", contrast=0.03, period=0.5)
    return [
        *figure,
        Layer([box(-0.36, -0.40, 0.46, -0.28)], chequers, 0.0, telling=True),
        Layer([sign], Material((250, 206, 60), contrast=0.03, gloss=0.4), 0.04, telling=True),
        Layer([lettering], _RUBBER, 0.0, telling=True),
    ]


def patrol(rng: np.random.Generator, paint: Material) -> Figure:
    """A patrol car: a bar of red and blue lamps on the roof, a shield on the door."""
    figure = _saloon(rng, paint)
    blue = Material((50, 96, 240), contrast=0.03, gloss=0.9)
    red = Material((236, 44, 44), contrast=0.03, gloss=0.9)
    shield = rounded([(0.14, -0.44), (0.40, -0.44), (0.38, -0.28), (0.27, -0.20), (0.16, -0.28)], 1)
    return [
        *figure,
        Layer([box(-0.36, -0.89, 0.28, -0.85)], _STEEL, 0.02, telling=True),
        Layer(
            [rounded([(-0.34, -0.87), (-0.34, -1.01), (-0.06, -1.01), (-0.06, -0.87)], 1)],
            blue,
            0.05,
            telling=True,
        ),
        Layer(
            [rounded([(-0.02, -0.87), (-0.02, -1.01), (0.26, -1.01), (0.26, -0.87)], 1)],
            red,
            0.05,
            telling=True,
        ),
        Layer([shield], Material((236, 214, 110), contrast=0.04, gloss=0.4), 0.03, telling=True),
    ]


def pickup(rng: np.random.Generator, paint: Material) -> Figure:
    """A pickup: a short cab and a loaded open bed."""
    cab = rounded([(-0.14, -0.48), (-0.12, -0.88), (0.30, -0.90), (0.58, -0.48)])
    pane = rounded([(-0.05, -0.54), (-0.03, -0.81), (0.24, -0.83), (0.44, -0.54)], 1)
    bed = rounded([(-1.0, -0.46), (-1.0, -0.60), (-0.16, -0.60), (-0.16, -0.46)], 1)
    logs = [ellipse(x, -0.66 - 0.10 * (i % 2), 0.11, 0.10) for i, x in enumerate((-0.85, -0.70, -0.55, -0.40, -0.27))]
    timber = Material((184, 138, 84), (120, 80, 44), "spots", "fur", 0.12, period=0.3)
    return [
        Layer(logs, timber, 0.05, telling=True),
        Layer([bed], paint, 0.05, shade=0.85),
        Layer([cab], paint, 0.12),
        Layer([pane], _GLASS, 0.03),
        *chassis(rng, paint),
    ]


def bus(rng: np.random.Generator, paint: Material) -> Figure:
    """A bus: a long box with a row of windows."""
    hull = rounded([(-1.25, -0.14), (-1.25, -1.0), (1.2, -1.0), (1.26, -0.14)])
    panes = [
        rounded([(x, -0.55), (x, -0.88), (x + 0.30, -0.88), (x + 0.30, -0.55)], 1) for x in np.arange(-1.12, 0.9, 0.37)
    ]
    stripe = Layer([box(-1.22, -0.42, 1.22, -0.36)], paint.but(colour=(236, 232, 220)), 0.0)
    return [Layer([hull], paint, 0.12), stripe, Layer(panes, _GLASS, 0.03), *wheels((-0.75, 0.75), 0.18)]


def lorry(rng: np.random.Generator, paint: Material) -> Figure:
    """A lorry: a cab before a tall box."""
    load = Material((206, 204, 198), (160, 158, 152), "planks", contrast=0.04, period=0.1)
    cab = rounded([(0.62, -0.16), (0.62, -0.86), (1.0, -0.86), (1.2, -0.5), (1.22, -0.16)])
    pane = rounded([(0.78, -0.52), (0.78, -0.78), (0.96, -0.78), (1.08, -0.52)], 1)
    return [
        Layer([box(-1.2, -1.15, 0.56, -0.26)], load, 0.04),
        Layer([box(-1.2, -0.3, 0.8, -0.2)], _RUBBER, 0.02),
        Layer([cab], paint, 0.1),
        Layer([pane], _GLASS, 0.03),
        *wheels((-0.85, -0.45, 0.9), 0.18),
    ]


def tractor(rng: np.random.Generator, paint: Material) -> Figure:
    """A tractor: one great and one small wheel, bonnet, cab."""
    frame = [box(-0.4, -0.95, -0.34, -0.5), box(0.06, -0.95, 0.12, -0.5)]
    return [
        Layer([box(-0.34, -0.92, 0.08, -0.5)], _GLASS, 0.02),
        Layer([*frame, rounded([(-0.5, -0.94), (-0.5, -1.02), (0.2, -1.02), (0.2, -0.94)], 1)], paint, 0.04),
        Layer([rounded([(-0.5, -0.3), (-0.5, -0.56), (0.75, -0.6), (0.8, -0.3)])], paint, 0.1),
        Layer([box(0.5, -0.85, 0.55, -0.58)], _RUBBER, 0.02),
        *wheels((-0.4,), 0.36),
        *wheels((0.6,), 0.2),
    ]


def bicycle(rng: np.random.Generator, paint: Material) -> Figure:
    """A bicycle: two spoked wheels and a frame of tubes."""
    spokes: list[Polygon] = []
    for x in (-0.5, 0.5):
        for angle in np.arange(0, np.pi, np.pi / 4):
            dx, dy = 0.29 * float(np.cos(angle)), 0.29 * float(np.sin(angle))
            spokes += limb([(x - dx, -0.31 - dy), (x + dx, -0.31 + dy)], [0.008, 0.008])
    rims = [_ring(x, -0.31, 0.31, 0.25) for x in (-0.5, 0.5)]
    bars = [((-0.5, -0.31), (-0.15, -0.75)), ((-0.15, -0.75), (0.36, -0.72)), ((0.0, -0.3), (0.36, -0.72))]
    bars += [((-0.5, -0.31), (0.0, -0.3)), ((0.0, -0.3), (-0.18, -0.82)), ((0.5, -0.31), (0.32, -0.9))]
    tubes = [part for start, end in bars for part in limb([start, end], [0.026, 0.026])]
    grips = [
        ribbon([(0.2, -0.9), (0.34, -0.92), (0.42, -0.84)], 0.02, 0.02),
        ellipse(-0.2, -0.85, 0.13, 0.035),
    ]
    return [
        Layer(spokes, _STEEL, 0.0),
        Layer(rims, _RUBBER, 0.02),
        Layer(tubes, paint, 0.02),
        Layer(grips, _RUBBER, 0.02),
    ]


def sailboat(rng: np.random.Generator, paint: Material) -> Figure:
    """A sailing boat: two triangular sails over a hull."""
    cloth = Material((232, 226, 210), grain="cloud", contrast=0.03)
    sails = [
        polygon([(0.06, -1.7), (0.06, -0.42), (0.75, -0.42)]),
        polygon([(-0.03, -1.6), (-0.03, -0.46), (-0.6, -0.46)]),
    ]
    return [Layer(sails, cloth, 0.3), Layer([box(-0.02, -1.8, 0.04, -0.3)], _WOOD, 0.02), *_hull(paint)]


def steamboat(rng: np.random.Generator, paint: Material) -> Figure:
    """A steamboat: cabin and funnel over a hull."""
    funnel = [box(-0.08, -1.15, 0.16, -0.6)]
    panes = [ellipse(x, -0.55, 0.06, 0.06) for x in (-0.4, -0.15, 0.1, 0.35)]
    white = Material((224, 222, 214), contrast=0.04)
    return [
        Layer(funnel, paint.but(colour=(196, 60, 44)), 0.1),
        Layer([box(-0.08, -1.15, 0.16, -1.03)], _RUBBER, 0.06),
        Layer([rounded([(-0.6, -0.3), (-0.55, -0.72), (0.5, -0.72), (0.55, -0.3)], 1)], white, 0.06),
        Layer(panes, _GLASS, 0.02),
        *_hull(paint),
    ]


def _saloon(rng: np.random.Generator, paint: Material) -> Figure:
    cabin = rounded([(-0.82, -0.46), (-0.52, -0.90), (0.24, -0.92), (0.62, -0.46)])
    panes = [
        rounded([(-0.66, -0.53), (-0.46, -0.82), (-0.16, -0.83), (-0.16, -0.53)], 1),
        rounded([(-0.09, -0.53), (-0.09, -0.83), (0.20, -0.84), (0.46, -0.53)], 1),
    ]
    return [Layer([cabin], paint, 0.12), Layer(panes, _GLASS, 0.03), *chassis(rng, paint)]


def _hull(paint: Material) -> Figure:
    hull = rounded([(-0.95, -0.4), (1.08, -0.46), (0.72, -0.02), (-0.78, -0.02)], 1)
    return [
        Layer([hull], paint, 0.14),
        Layer([polygon([(-0.9, -0.38), (1.0, -0.43), (0.97, -0.36), (-0.88, -0.31)])], _WOOD, 0.02),
    ]


def _ring(x: float, y: float, outer: float, inner: float) -> Polygon:
    """Return an annulus as one outline with a seam."""
    around, back = ellipse(x, y, outer, outer), ellipse(x, y, inner, inner)[::-1]
    return np.concatenate([around, around[:1], back[-1:], back])
