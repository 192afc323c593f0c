"""Backdrops: sky, ground and walls behind the objects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from recam_cli.core.data.shapes.texture import (
    BANK_SIDE,
    Colour,
    Grain,
    Material,
    bank,
    blend,
    cut,
    scaled,
    surface,
)


@dataclass(frozen=True)
class Backdrop:
    """A picture without objects.

    Attributes:
        pixels: float32 (H, W, 3), RGB 0..255, at canvas size.
        horizon: row where the ground begins, as a share of the height.
        clutter: what stands around, see `objects.CLUTTER`.
        shore: row where water ends, as a share of the height; 1 where there is none.
    """

    pixels: np.ndarray
    horizon: float
    clutter: tuple[str, ...]
    shore: float = 1.0


def ground(
    rng: np.random.Generator,
    height: int,
    width: int,
    low: Colour,
    high: Colour,
    grain: Grain,
    flat: float = 1.0,
) -> np.ndarray:
    """Return ground seen in perspective, float32 (height, width, 3); `flat` > 1 stretches it sideways."""
    depth = 1 / (np.linspace(0.12, 1.0, height, dtype=np.float32))
    columns = np.linspace(-0.5, 0.5, width, dtype=np.float32)
    left, top = rng.uniform(0, BANK_SIDE, 2).astype(np.float32)
    map_x = left + np.outer(depth, columns) * np.float32(150 / flat)
    map_y = np.broadcast_to((top + 90 * depth)[:, None], map_x.shape).astype(np.float32)
    field = cv2.remap(bank()[grain], map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    detail = 0.5 * cut(rng, "fine", height, width) * np.linspace(0.3, 1, height, dtype=np.float32)[:, None]
    share = np.clip(0.5 + 0.22 * (field + detail), 0, 1)
    return scaled(blend(low, high, share), 1 + 0.12 * cut(rng, "cloud", height, width, 3.0))


def sky(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Return a sky with clouds, float32 (height, width, 3)."""
    tops: tuple[Colour, ...] = ((92, 140, 198), (128, 164, 200), (168, 178, 188), (196, 168, 150))
    top = tops[int(rng.choice(4, p=(0.4, 0.3, 0.2, 0.1)))]
    fall = np.linspace(0, 1, height, dtype=np.float32)[:, None].repeat(width, axis=1)
    clouds = np.clip(0.35 * cut(rng, "cloud", height, width, 2.2) + rng.uniform(-0.1, 0.3), 0, 0.9)
    base = blend(top, (222, 226, 228), fall)
    return np.asarray(base + scaled(np.array([240, 240, 238], dtype=np.float32) - base, clouds))


def _ridge(rng: np.random.Generator, pixels: np.ndarray, row: int, rise: float, material: Material) -> None:
    """Paint hills or trees whose feet stand on `row`."""
    height, width = pixels.shape[:2]
    line = cut(rng, "cloud", 1, width, float(rng.uniform(1.0, 3.0)))[0]
    tops = np.clip(row - rise * height * (1 + 0.45 * line), 0, row).astype(int)
    first = int(tops.min())
    if first >= row:
        return
    piece = surface(material, rng, row - first, width)
    inside = np.arange(first, row)[:, None] >= tops[None, :]
    shaded = piece.times(0.9 + 0.12 * piece.structure)
    pixels[first:row] = cv2.copyTo(shaded, inside.astype(np.uint8), pixels[first:row].copy())


def _open_country(rng: np.random.Generator, height: int, width: int, row: int) -> np.ndarray:
    pixels = np.zeros((height, width, 3), dtype=np.float32)
    pixels[:row] = sky(rng, row, width)
    if rng.random() < 0.6:
        _ridge(rng, pixels, row, rng.uniform(0.06, 0.16), Material((116, 134, 136), grain="cloud", contrast=0.06))
    woods = Material((66, 88, 52), grain="leaf", contrast=0.25)
    if rng.random() < 0.75:
        _ridge(rng, pixels, row, rng.uniform(0.05, 0.22), woods)
    return pixels


def meadow(rng: np.random.Generator, height: int, width: int) -> Backdrop:
    """Grass under the sky, hills and trees behind, often in flower."""
    horizon = float(rng.uniform(0.28, 0.46))
    row = int(horizon * height)
    pixels = _open_country(rng, height, width, row)
    grass: tuple[tuple[Colour, Colour], ...] = (
        ((52, 74, 30), (138, 156, 74)),
        ((70, 92, 42), (150, 168, 92)),
        ((44, 70, 36), (110, 140, 80)),
    )
    low, high = grass[int(rng.integers(3))]
    pixels[row:] = ground(rng, height - row, width, low, high, "fur" if rng.random() < 0.6 else "leaf")
    if rng.random() < 0.5:
        _blossoms(rng, pixels, row)
    return Backdrop(pixels, horizon, ("bush", "tuft", "tuft", "fence", "rock"))


def _blossoms(rng: np.random.Generator, pixels: np.ndarray, row: int) -> None:
    """Paint small flowers into the grass below `row`, larger the nearer they are."""
    height, width = pixels.shape[:2]
    tints: tuple[Colour, ...] = ((236, 232, 224), (226, 150, 190), (170, 140, 214))
    tint = tints[int(rng.integers(3))]
    for depth in np.sort(rng.uniform(0.02, 1, int(rng.integers(30, 120))) ** 1.5):
        centre = (int(rng.integers(width)), int(row + depth * (height - row)))
        radius = max(round(float(0.011 * height * (0.3 + depth))), 1)
        shade = float(rng.uniform(0.75, 1.05))
        cv2.circle(pixels, centre, radius, tuple(shade * part for part in tint), -1)


def savanna(rng: np.random.Generator, height: int, width: int) -> Backdrop:
    """Dry grass under a wide sky, flat-topped trees far off."""
    horizon = float(rng.uniform(0.3, 0.48))
    row = int(horizon * height)
    pixels = np.zeros((height, width, 3), dtype=np.float32)
    pixels[:row] = sky(rng, row, width)
    if rng.random() < 0.6:
        _ridge(rng, pixels, row, rng.uniform(0.04, 0.12), Material((130, 134, 140), grain="cloud", contrast=0.05))
    _ridge(rng, pixels, row, rng.uniform(0.01, 0.04), Material((104, 104, 62), grain="leaf", contrast=0.2))
    for _ in range(int(rng.integers(0, 4))):
        _acacia(rng, pixels, row, float(rng.uniform(0.08, 0.2)) * height)
    dry: tuple[tuple[Colour, Colour], ...] = (
        ((122, 100, 50), (216, 190, 118)),
        ((140, 104, 60), (206, 164, 104)),
        ((108, 104, 54), (190, 180, 106)),
    )
    low, high = dry[int(rng.integers(3))]
    pixels[row:] = ground(rng, height - row, width, low, high, "fur" if rng.random() < 0.7 else "leaf")
    return Backdrop(pixels, horizon, ("tuft", "tuft", "bush", "rock"))


def _acacia(rng: np.random.Generator, pixels: np.ndarray, row: int, tall: float) -> None:
    """Paint a flat-topped tree that stands on `row`."""
    width = pixels.shape[1]
    x = int(rng.integers(width))
    top = int(row - tall)
    cv2.line(pixels, (x, row), (x + int(0.1 * tall), top), (84, 68, 52), max(int(0.07 * tall), 1))
    for _ in range(9):
        centre = (int(x + rng.uniform(-0.7, 0.8) * tall), int(top + rng.uniform(-0.08, 0.12) * tall))
        shade = float(rng.uniform(0.75, 1.15))
        axes = (int(0.3 * tall), max(int(0.09 * tall), 1))
        cv2.ellipse(pixels, centre, axes, 0, 0, 360, tuple(shade * part for part in (82, 92, 48)), -1)


def lake(rng: np.random.Generator, height: int, width: int) -> Backdrop:
    """Water under the sky, hills behind, a bank in front."""
    horizon = float(rng.uniform(0.34, 0.52))
    row = int(horizon * height)
    bank_row = float(rng.uniform(0.76, 0.9))
    shore = int(bank_row * height)
    pixels = _open_country(rng, height, width, row)
    waters: tuple[tuple[Colour, Colour], ...] = (
        ((42, 84, 112), (128, 168, 192)),
        ((44, 96, 104), (136, 178, 178)),
        ((70, 92, 106), (164, 180, 190)),
    )
    low, high = waters[int(rng.integers(3))]
    pixels[row:] = ground(rng, height - row, width, low, high, "cloud", flat=5.0)
    sand = ((120, 104, 76), (196, 178, 138)) if rng.random() < 0.6 else ((58, 78, 36), (126, 146, 76))
    bank_ = ground(rng, height - shore, width, *sand, "leaf")
    edge = np.clip((np.arange(height - shore)[:, None] - 5 - 4 * cut(rng, "cloud", 1, width, 2.0)) / 4, 0, 1)
    pixels[shore:] += scaled(bank_ - pixels[shore:], edge)
    return Backdrop(pixels, horizon, ("rock", "tuft"), bank_row)


def street(rng: np.random.Generator, height: int, width: int) -> Backdrop:
    """A road before house fronts."""
    horizon = float(rng.uniform(0.36, 0.52))
    row = int(horizon * height)
    pixels = np.zeros((height, width, 3), dtype=np.float32)
    walls = (
        Material((158, 88, 66), (186, 174, 160), "brick", "cloud", 0.09, period=0.07),
        Material((204, 192, 168), grain="cloud", contrast=0.06),
        Material((150, 152, 156), grain="cloud", contrast=0.06),
        Material((178, 140, 104), (150, 116, 84), "brick", "fine", 0.06, period=0.12),
    )
    split = int(rng.uniform(0.25, 0.75) * width)
    for left, right in ((0, split), (split, width)):
        wall = walls[int(rng.integers(len(walls)))]
        pixels[:row, left:right] = surface(wall, rng, row, right - left).seen()
        _openings(rng, pixels[:row, left:right])
    kerb = min(row + int(0.07 * height), height)
    pixels[row:kerb] = ground(rng, kerb - row, width, (140, 136, 128), (182, 178, 170), "fine")
    pixels[kerb - 3 : kerb] *= 0.55
    pixels[kerb:] = ground(rng, height - kerb, width, (70, 70, 74), (122, 120, 120), "fine")
    if rng.random() < 0.6:
        line = int(rng.uniform(0.72, 0.9) * height)
        dashes = (np.arange(width) + int(rng.integers(100))) % 110 < 65
        pixels[line : line + 5, dashes] = 0.4 * pixels[line : line + 5, dashes] + 125
    return Backdrop(pixels, horizon, ("pole", "crate", "barrel", "bush"))


def yard(rng: np.random.Generator, height: int, width: int) -> Backdrop:
    """Bare earth before a plank wall or a hedge."""
    horizon = float(rng.uniform(0.30, 0.48))
    row = int(horizon * height)
    pixels = np.zeros((height, width, 3), dtype=np.float32)
    pixels[:row] = sky(rng, row, width)
    planks = Material((138, 108, 78), (78, 60, 44), "planks", "fur", 0.16, period=0.2)
    hedge = Material((62, 88, 46), grain="leaf", contrast=0.28)
    top = int(rng.uniform(0.0, 0.6) * row)
    if rng.random() < 0.55:
        pixels[top:row] = surface(planks, rng, row - top, width).seen()
    else:
        _ridge(rng, pixels, row, (row - top) / height, hedge)
    pixels[row:] = ground(
        rng, height - row, width, (112, 88, 62), (190, 162, 122), "leaf" if rng.random() < 0.5 else "cloud"
    )
    return Backdrop(pixels, horizon, ("bush", "crate", "barrel", "bale", "fence", "tuft"))


BACKDROPS: dict[str, Callable[[np.random.Generator, int, int], Backdrop]] = {
    "meadow": meadow,
    "savanna": savanna,
    "lake": lake,
    "street": street,
    "yard": yard,
}


def _openings(rng: np.random.Generator, wall: np.ndarray) -> None:
    """Paint windows and doors into a piece of wall."""
    height, width = wall.shape[:2]
    wide, tall = int(rng.uniform(26, 44)), int(rng.uniform(0.3, 0.5) * height)
    top = int(rng.uniform(0.12, 0.3) * height)
    frame: Colour = (214, 208, 196) if rng.random() < 0.5 else (70, 54, 44)
    for left in range(int(rng.integers(8, 30)), width - wide - 4, wide + int(rng.integers(22, 50))):
        low = height if rng.random() < 0.2 else top + tall
        wall[max(top - 3, 0) : low, left - 3 : left + wide + 3] = frame
        pane = surface(
            Material((64, 76, 88), (128, 142, 152), "patches", "cloud", 0.08, period=1.0),
            rng,
            low - top,
            wide,
        )
        wall[top:low, left : left + wide] = pane.seen()
