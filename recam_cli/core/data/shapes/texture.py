"""Surfaces: a bank of noise fields drawn once, and the materials made of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

import cv2
import numpy as np

Colour = tuple[float, float, float]
"""Red, green, blue, 0..255."""
Grain = Literal["cloud", "fine", "fur", "leaf"]
Pattern = Literal["plain", "patches", "spots", "stripes", "hoops", "check", "brick", "planks"]

BANK_SIDE = 512
_BANK_SEED = 20220302  # one fixed library of materials; scenes cut pieces from it at places that their seed draws


@dataclass(frozen=True)
class Material:
    """What a surface is made of.

    Attributes:
        colour: main colour.
        second: colour of the pattern's marks.
        pattern: how the marks lie.
        grain: noise field of the fine structure.
        contrast: strength of the fine structure, as a share of the brightness.
        bump: height of the fine structure in pixels, seen in the shading.
        gloss: strength of highlights, 0 dull to 1 lacquer.
        period: size of the pattern's marks as a share of the surface's height.
    """

    colour: Colour
    second: Colour = (0.0, 0.0, 0.0)
    pattern: Pattern = "plain"
    grain: Grain = "fine"
    contrast: float = 0.10
    bump: float = 0.0
    gloss: float = 0.0
    period: float = 0.3

    def but(self, **changes: object) -> Material:
        """Return a copy with other values for some attributes."""
        return replace(self, **changes)  # type: ignore[arg-type]


def octaves(rng: np.random.Generator, side: int, coarsest: int, finest: int, fall: float) -> np.ndarray:
    """Return cloud-like noise, float32 (side, side), zero mean, unit deviation.

    Random values on grids of `coarsest`, twice, four times … up to `finest` cells a side are smoothly
    enlarged and summed, each grid `fall` times as strong as the one before.
    """
    total = np.zeros((side, side), dtype=np.float32)
    cells, weight = coarsest, 1.0
    while cells <= finest:
        grid = rng.standard_normal((cells, cells), dtype=np.float32)
        total += weight * cv2.resize(grid, (side, side), interpolation=cv2.INTER_CUBIC)
        cells, weight = cells * 2, weight * fall
    return _standard(total)


@cache
def bank() -> dict[str, np.ndarray]:
    """Return the noise fields by name, each float32 (512, 512), zero mean, unit deviation."""
    rng = np.random.default_rng(_BANK_SEED)
    cloud = octaves(rng, BANK_SIDE, 8, 256, 0.62)
    fine = octaves(rng, BANK_SIDE, 64, 512, 0.9)
    raw = rng.standard_normal((BANK_SIDE, BANK_SIDE), dtype=np.float32)
    fur = _standard(cv2.GaussianBlur(raw, (0, 0), sigmaX=0.8, sigmaY=3)) + 0.4 * cloud
    seeds = np.ones((BANK_SIDE, BANK_SIDE), dtype=np.uint8)
    seeds.ravel()[rng.choice(BANK_SIDE * BANK_SIDE, 6000, replace=False)] = 0
    leaf = _standard(-cv2.distanceTransform(seeds, cv2.DIST_L2, 5)) + 0.7 * cloud + 0.5 * fine
    fields = {"cloud": cloud, "fine": fine, "fur": _standard(fur), "leaf": _standard(leaf)}
    for field in fields.values():
        field.setflags(write=False)
    return fields


def cut(rng: np.random.Generator, grain: Grain, height: int, width: int, zoom: float = 1.0) -> np.ndarray:
    """Return a random piece of a noise field, float32 (height, width), enlarged `zoom` times."""
    field = bank()[grain]
    zoom = max(zoom, height / BANK_SIDE, width / BANK_SIDE)
    rows = max(min(int(np.ceil(height / zoom)), BANK_SIDE), 1)
    columns = max(min(int(np.ceil(width / zoom)), BANK_SIDE), 1)
    top = int(rng.integers(0, BANK_SIDE - rows + 1))
    left = int(rng.integers(0, BANK_SIDE - columns + 1))
    piece = field[top : top + rows, left : left + columns]
    if rng.random() < 0.5:
        piece = piece[:, ::-1]
    if (rows, columns) != (height, width):
        piece = cv2.resize(np.ascontiguousarray(piece), (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(piece)


def blend(low: Colour, high: Colour, share: np.ndarray) -> np.ndarray:
    """Return `low` → `high` by `share` (H, W) as float32 (H, W, 3)."""
    # plane by plane: arrays whose innermost side is 3 are slow to broadcast
    planes = [share * np.float32(end - start) + np.float32(start) for start, end in zip(low, high, strict=True)]
    return np.asarray(cv2.merge([plane.astype(np.float32, copy=False) for plane in planes]))


def scaled(pixels: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Return float32 (H, W, 3) `pixels` times `factor` (H, W)."""
    plane = factor.astype(np.float32, copy=False)
    return np.asarray(pixels * cv2.merge([plane, plane, plane]))


@dataclass(frozen=True)
class Surface:
    """A piece of a material before light falls on it.

    Attributes:
        colours: float32 (H, W, 3), or None where one colour covers all.
        colour: that one colour.
        structure: the fine structure, float32 (H, W), zero mean, unit deviation.
        contrast: how much of it shows in the brightness.
    """

    colours: np.ndarray | None
    colour: Colour
    structure: np.ndarray
    contrast: float

    def times(self, light: np.ndarray) -> np.ndarray:
        """Return what is seen under `light`, a float32 (H, W) brightness, as float32 (H, W, 3)."""
        bright = light * (1 + np.float32(self.contrast) * self.structure)
        if self.colours is None:
            return np.asarray(cv2.merge([bright * np.float32(part) for part in self.colour]))
        return scaled(self.colours, bright)

    def seen(self) -> np.ndarray:
        """Return the surface in even light, float32 (H, W, 3)."""
        return self.times(np.ones_like(self.structure))


def surface(material: Material, rng: np.random.Generator, height: int, width: int) -> Surface:
    """Cut a random piece of `material`, `height` x `width` pixels."""
    structure = cut(rng, material.grain, height, width)
    colours = None
    if material.pattern != "plain":
        colours = blend(material.colour, material.second, _marks(material, rng, height, width))
    return Surface(colours, material.colour, structure, material.contrast)


def _marks(material: Material, rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Return how much of the second colour each place carries, float32 (height, width) in 0..1."""
    period = max(material.period * height, 2.0)
    if material.pattern == "patches":
        return _soft_step(cut(rng, "cloud", height, width, zoom=max(period / 24, 0.5)) + rng.uniform(-0.5, 0.5), 8)
    if material.pattern == "spots":
        return _soft_step(cut(rng, "leaf", height, width, zoom=max(period / 8, 0.5)) - 0.2, 6)
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    if material.pattern in ("stripes", "hoops"):
        wave = (columns if material.pattern == "stripes" else rows) / period * 2 * np.pi + 1.5 * cut(
            rng, "cloud", height, width
        )
        return _soft_step(np.sin(wave + rng.uniform(0, 6)), 5)
    if material.pattern == "check":
        return np.asarray((rows // period + columns // period) % 2, dtype=np.float32)
    if material.pattern == "planks":
        return np.asarray(_joints(columns, period) * 0.9)
    course = rows // period  # bricks: every second course shifted by half a brick
    return np.asarray(np.maximum(_joints(rows, period), _joints(columns + (course % 2) * period, 2 * period)))


def _joints(along: np.ndarray, period: float) -> np.ndarray:
    return np.asarray((along % period) < max(0.14 * period, 1.0), dtype=np.float32)


def _soft_step(field: np.ndarray, steepness: float) -> np.ndarray:
    return np.asarray(np.clip(0.5 + 0.5 * steepness * field, 0, 1), dtype=np.float32)


def _standard(field: np.ndarray) -> np.ndarray:
    return np.asarray((field - field.mean()) / field.std(), dtype=np.float32)
