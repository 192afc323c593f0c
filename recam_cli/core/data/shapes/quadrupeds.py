"""Horse, cow and deer on one body plan: coat, trunk and legs are shared, heads and tails tell them apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recam_cli.core.data.shapes.canvas import Figure, Layer
from recam_cli.core.data.shapes.geometry import Polygon, blob, ellipse, limb, ribbon, rounded
from recam_cli.core.data.shapes.texture import Colour, Material

Point = tuple[float, float]
COATS: tuple[Colour, ...] = (
    (150, 92, 54),
    (98, 62, 42),
    (56, 52, 52),
    (214, 206, 192),
    (146, 140, 134),
    (188, 148, 104),
    (166, 84, 52),
)
BONE = Material((214, 200, 164), grain="fur", contrast=0.10)
DARK = Material((38, 32, 30), grain="fur", contrast=0.25, bump=0.5)
PINK = Material((196, 138, 126), contrast=0.06)
_EYE = Material((16, 14, 14), contrast=0.0, gloss=0.6)


def coat(rng: np.random.Generator) -> Material:
    """Draw a coat: any colour, plain or patched. All quadrupeds draw from the same coats."""
    base, other = (COATS[index] for index in rng.choice(len(COATS), 2, replace=False))
    shift = rng.uniform(0.85, 1.15)
    colour = tuple(float(min(value * shift, 235)) for value in base)
    pattern = "patches" if rng.random() < 0.4 else "plain"
    period = float(rng.uniform(0.25, 0.6))
    return Material(colour, other, pattern, "fur", 0.09, 0.35, 0.1, period)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Build:
    """Proportions of an animal, in trunk lengths."""

    legs: float = 0.52
    girth: float = 0.23
    neck: float = 0.36
    lift: float = 0.75
    thick: float = 0.13
    head: float = 0.27


@dataclass(frozen=True)
class Frame:
    """Where the parts that tell animals apart attach: poll (top of head), muzzle, nape and tail root."""

    poll: Point
    muzzle: Point
    withers: Point
    rump: Point
    back: float


def body(rng: np.random.Generator, skin: Material, build: Build) -> tuple[Figure, Frame]:
    """Return the shared part of an animal that faces right, and its frame."""
    belly = -build.legs
    back = belly - 2 * build.girth
    middle = (belly + back) / 2
    sag = rng.uniform(-0.02, 0.04)
    trunk = blob(
        [
            (0.52, middle),
            (0.42, back + 0.05),
            (0.24, back - 0.02),
            (-0.02, back + sag + 0.02),
            (-0.34, back - 0.01),
            (-0.52, back + 0.12),
            (-0.50, middle + 0.08),
            (-0.34, belly + 0.02),
            (0.0, belly + 0.04),
            (0.34, belly + 0.02),
        ]
    )
    lift = build.lift + rng.uniform(-0.2, 0.2)
    if rng.random() < 0.2:
        lift = -rng.uniform(0.3, 0.6)  # grazing
    root = (0.40, back + 0.14)
    poll = (root[0] + build.neck * float(np.cos(lift)), root[1] - build.neck * float(np.sin(lift)))
    nod = rng.uniform(0.25, 0.75)
    muzzle = (poll[0] + build.head * float(np.cos(nod)), poll[1] + build.head * float(np.sin(nod)))
    neck = limb([root, poll], [build.thick * 1.25, build.thick * 0.72])
    head = limb([poll, muzzle], [0.095, 0.058])
    ear = ribbon([poll, (poll[0] - 0.06, poll[1] - 0.10), (poll[0] - 0.10, poll[1] - 0.17)], 0.045, 0.01, 0.04)
    near, far = _legs(rng, belly, 0.0), _legs(rng, belly, 0.07)
    eye = ellipse(poll[0] + 0.3 * (muzzle[0] - poll[0]), poll[1] + 0.25 * (muzzle[1] - poll[1]) - 0.02, 0.02, 0.02)
    figure = [
        Layer(far, skin, 0.05, shade=0.62),
        Layer([trunk, *near, *neck, *head, ear], skin, 0.20),
        Layer([eye], _EYE, 0.0),
        Layer(_hooves(near), DARK, 0.03),
    ]
    return figure, Frame(poll, muzzle, (0.28, back), (-0.50, back + 0.08), back)


def horse(rng: np.random.Generator, skin: Material) -> Figure:
    """A horse: mane and long hairy tail."""
    figure, at = body(rng, skin, Build(neck=0.46, lift=0.85, head=0.33))
    strands = hair(rng, skin)
    (x, y), (wx, wy) = at.poll, at.withers
    forelock = (x + 0.06, y - 0.09)
    mane = ribbon([forelock, (x - 0.07, y - 0.08), (x - 0.15, (y + wy) / 2 - 0.02), (wx, wy)], 0.05, 0.03, 0.11)
    return [
        *figure,
        Layer([mane], strands, 0.05, telling=True),
        Layer([_long_tail(rng, at)], strands, 0.05, telling=True),
    ]


def cow(rng: np.random.Generator, skin: Material) -> Figure:
    """A cow: horns, broad pale muzzle, udder."""
    figure, at = body(rng, skin, Build(neck=0.34, lift=0.55, head=0.26, thick=0.15))
    (x, y), muzzle = at.poll, at.muzzle
    horns = [
        ribbon([(x + 0.02, y - 0.05), (x + 0.14, y - 0.14), (x + 0.12, y - 0.30)], 0.042, 0.010, 0.035),
        ribbon([(x - 0.04, y - 0.05), (x - 0.13, y - 0.15), (x - 0.05, y - 0.29)], 0.042, 0.010, 0.035),
    ]
    udder = ellipse(-0.22, -0.47, 0.10, 0.08)
    nose = ellipse(muzzle[0] + 0.01, muzzle[1], 0.09, 0.075)
    return [
        Layer([udder], PINK, 0.06),
        *figure,
        thin_tail(at, skin),
        Layer([nose], PINK, 0.05, telling=True),
        Layer(horns, BONE, 0.03, telling=True),
    ]


def deer(rng: np.random.Generator, skin: Material) -> Figure:
    """A deer: branching antlers and a white scut."""
    figure, at = body(rng, skin, Build(neck=0.40, lift=0.85, head=0.26, thick=0.12))
    x, y = at.poll
    scut = ellipse(at.rump[0] - 0.01, at.rump[1] + 0.07, 0.055, 0.10, 0.3)
    antlers = [part for side in (-1.0, 0.45) for part in _antler(x, y - 0.05, side)]
    wood = Material((150, 112, 72), grain="fur", contrast=0.15)
    white = Material((236, 230, 220), grain="fur", contrast=0.08)
    return [*figure, Layer([scut], white, 0.04, telling=True), Layer(antlers, wood, 0.02, telling=True)]


def _legs(rng: np.random.Generator, belly: float, forward: float) -> list[Polygon]:
    swing = rng.uniform(-0.13, 0.13, 2)
    knee = belly * 0.55
    front = [
        (0.34, belly - 0.08),
        (0.37 + forward + swing[0] * 0.3, knee),
        (0.35 + forward + swing[0], -0.02),
    ]
    hind = [
        (-0.36, belly - 0.14),
        (-0.47 + forward + swing[1] * 0.3, knee),
        (-0.40 + forward + swing[1], -0.02),
    ]
    return [*limb(front, [0.11, 0.052, 0.042]), *limb(hind, [0.15, 0.058, 0.042])]


def _hooves(legs: list[Polygon]) -> list[Polygon]:
    feet = (legs[2].mean(axis=0), legs[7].mean(axis=0))  # the last joint of the front and of the hind leg
    return [
        rounded([(x - 0.05, y + 0.03), (x - 0.04, y - 0.05), (x + 0.04, y - 0.05), (x + 0.06, y + 0.03)])
        for x, y in feet
    ]


def _antler(x: float, y: float, side: float) -> list[Polygon]:
    beam = [(x, y), (x + 0.16 * side, y - 0.18), (x + 0.12 * side, y - 0.40)]
    tines = [(0.10, -0.12, 0.22, -0.06), (0.155, -0.22, 0.30, -0.26), (0.15, -0.30, 0.25, -0.42)]
    return [
        ribbon(beam, 0.034, 0.014),
        *(
            ribbon([(x + side * a, y + b), (x + side * c, y + d), (x + side * c, y + d - 0.07)], 0.024, 0.012)
            for a, b, c, d in tines
        ),
    ]


def hair(rng: np.random.Generator, skin: Material) -> Material:
    """Draw hair darker or lighter than the coat."""
    factor = 0.35 if sum(skin.colour) > 330 or rng.random() < 0.6 else 1.9
    colour = tuple(float(min(value * factor + 8, 225)) for value in skin.colour)
    return DARK.but(colour=colour)


def _long_tail(rng: np.random.Generator, at: Frame) -> Polygon:
    (x, y), drift = at.rump, rng.uniform(0.0, 0.18)
    return ribbon(
        [(x + 0.04, y), (x - 0.10, y + 0.08), (x - 0.13 - drift, y + 0.38), (x - 0.10 - drift, y + 0.62)],
        0.04,
        0.03,
        0.10,
    )


def thin_tail(at: Frame, skin: Material) -> Layer:
    """Return a thin tail with a tuft."""
    x, y = at.rump
    tail = ribbon([(x + 0.02, y), (x - 0.05, y + 0.12), (x - 0.05, y + 0.42)], 0.022, 0.02)
    return Layer([tail, ellipse(x - 0.05, y + 0.45, 0.035, 0.07)], skin, 0.03, shade=0.8)
