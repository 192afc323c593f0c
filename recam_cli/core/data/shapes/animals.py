"""Further animals on the quadrupeds' body plan, for pre-training only."""

from __future__ import annotations

import numpy as np

from recam_cli.core.data.shapes.canvas import Figure, Layer
from recam_cli.core.data.shapes.geometry import blob, ellipse, limb, ribbon
from recam_cli.core.data.shapes.quadrupeds import BONE, DARK, PINK, Build, body, hair, thin_tail
from recam_cli.core.data.shapes.texture import Material


def zebra(rng: np.random.Generator, skin: Material) -> Figure:
    """A zebra: striped coat, standing mane."""
    striped = Material((226, 220, 208), (36, 32, 32), "stripes", "fur", 0.08, 0.3, 0.1, float(rng.uniform(0.08, 0.14)))
    figure, at = body(rng, striped, Build(neck=0.42, lift=0.8, head=0.29))
    (x, y), (wx, wy) = at.poll, at.withers
    mane = ribbon([(x, y - 0.08), (x - 0.12, (y + wy) / 2 - 0.02), (wx, wy)], 0.03, 0.02, 0.05)
    return [*figure, Layer([mane], DARK, 0.03), thin_tail(at, striped)]


def giraffe(rng: np.random.Generator, skin: Material) -> Figure:
    """A giraffe: long neck and legs, blotched coat."""
    spotted = Material((206, 172, 116), (128, 78, 40), "spots", "fur", 0.08, 0.3, 0.1, float(rng.uniform(0.12, 0.2)))
    figure, at = body(rng, spotted, Build(legs=0.8, girth=0.2, neck=0.95, lift=1.1, head=0.24, thick=0.11))
    return [*figure, thin_tail(at, spotted)]


def sheep(rng: np.random.Generator, skin: Material) -> Figure:
    """A sheep: a curly fleece over the trunk."""
    figure, at = body(rng, skin.but(pattern="plain", colour=(70, 62, 58)), Build(legs=0.36, neck=0.24, head=0.2))
    angle = np.linspace(0, 2 * np.pi, 15, endpoint=False)
    curls = [ellipse(0.5 * np.cos(a), at.back + 0.22 + 0.24 * np.sin(a), 0.13, 0.12) for a in angle]
    wool = Material((222, 214, 198), grain="leaf", contrast=0.09, bump=1.6)
    return [*figure, Layer([ellipse(0, at.back + 0.22, 0.52, 0.26), *curls], wool, 0.22)]


def goat(rng: np.random.Generator, skin: Material) -> Figure:
    """A goat: swept-back horns and a beard."""
    figure, at = body(rng, skin, Build(legs=0.45, girth=0.2, neck=0.32, head=0.22))
    (x, y), (mx, my) = at.poll, at.muzzle
    horns = [
        ribbon([(x + d, y - 0.05), (x - 0.06 + d, y - 0.22), (x - 0.24 + d, y - 0.24)], 0.045, 0.01) for d in (0, 0.07)
    ]
    beard = ribbon([(mx - 0.03, my + 0.03), (mx - 0.04, my + 0.10), (mx - 0.07, my + 0.18)], 0.05, 0.01)
    return [
        *figure,
        Layer(horns, BONE.but(colour=(120, 108, 92)), 0.03),
        Layer([beard], hair(rng, skin), 0.03),
    ]


def pig(rng: np.random.Generator, skin: Material) -> Figure:
    """A pig: short legs, round trunk, flat snout."""
    hide = Material((222, 164, 150), (150, 110, 100), skin.pattern, "fine", 0.06, 0.2, 0.2, 0.4)
    figure, at = body(rng, hide, Build(legs=0.26, girth=0.27, neck=0.16, lift=0.2, head=0.24, thick=0.2))
    return [*figure, Layer([ellipse(at.muzzle[0] + 0.03, at.muzzle[1], 0.06, 0.08)], PINK, 0.04)]


def dog(rng: np.random.Generator, skin: Material) -> Figure:
    """A dog: slim trunk, raised tail, hanging ear."""
    figure, at = body(rng, skin, Build(legs=0.42, girth=0.16, neck=0.26, head=0.24, thick=0.11))
    (x, y), (rx, ry) = at.poll, at.rump
    tail = ribbon([(rx, ry), (rx - 0.16, ry - 0.14), (rx - 0.14, ry - 0.34)], 0.05, 0.015)
    ear = ribbon([(x - 0.01, y - 0.04), (x - 0.07, y + 0.04), (x - 0.06, y + 0.15)], 0.04, 0.03, 0.06)
    return [Layer([tail], skin, 0.04), *figure, Layer([ear], hair(rng, skin), 0.04)]


def camel(rng: np.random.Generator, skin: Material) -> Figure:
    """A camel: a hump on the back, long low neck."""
    figure, at = body(rng, skin.but(pattern="plain"), Build(legs=0.62, girth=0.2, neck=0.56, lift=0.75, head=0.24))
    hump = blob([(-0.3, at.back + 0.1), (-0.14, at.back - 0.22), (0.04, at.back - 0.26), (0.22, at.back + 0.1)])
    return [Layer([hump], skin.but(pattern="plain"), 0.15), *figure, thin_tail(at, skin)]


def elephant(rng: np.random.Generator, skin: Material) -> Figure:
    """An elephant: trunk, fan ear, thick legs."""
    hide = Material((136, 130, 126), grain="leaf", contrast=0.07, bump=0.8)
    figure, at = body(rng, hide, Build(legs=0.42, girth=0.31, neck=0.2, lift=0.4, head=0.12, thick=0.24))
    x, y = at.poll
    columns = [part for px in (-0.36, 0.34) for part in limb([(px, -0.6), (px, -0.05)], [0.13, 0.10])]
    trunk = ribbon([(x + 0.08, y), (x + 0.26, y + 0.22), (x + 0.24, -0.2), (x + 0.34, -0.12)], 0.13, 0.035, 0.07)
    ear = blob([(x - 0.02, y - 0.16), (x - 0.26, y - 0.12), (x - 0.24, y + 0.18), (x - 0.04, y + 0.16)])
    return [
        *figure,
        Layer([*columns, trunk, ellipse(x, y, 0.18, 0.18)], hide, 0.12),
        Layer([ear], hide, 0.05, 0.9),
    ]
