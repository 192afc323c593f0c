"""The canvas: outlines become lit surfaces, and a stencil remembers which object owns every pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from recam_cli.core.data.shapes.geometry import Polygon, Pose
from recam_cli.core.data.shapes.texture import Material, Surface, surface

SUPERSAMPLING = 2
"""Canvas pixels per image pixel, along each side."""
_SUBPIXEL_BITS = 4


@dataclass(frozen=True)
class Layer:
    """Outlines of one material, lit as one body.

    Attributes:
        outlines: their union is painted.
        material: what it is made of.
        relief: how far the rounding reaches in from the edge, in object units; 0 is flat.
        shade: brightness factor, e.g. 0.7 for legs on the far side.
    """

    outlines: Sequence[Polygon]
    material: Material
    relief: float = 0.1
    shade: float = 1.0


Figure = list[Layer]
"""An object as layers, from back to front."""


def extent(figure: Figure) -> tuple[float, float, float, float]:
    """Return (left, top, right, bottom) of a figure in its own units."""
    points = np.concatenate([outline for layer in figure for outline in layer.outlines])
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    return float(left), float(top), float(right), float(bottom)


@dataclass(frozen=True)
class Light:
    """The scene's light: unit vector towards it (x right, y down, z to the viewer) and ambient share."""

    direction: tuple[float, float, float]
    ambient: float

    @staticmethod
    def draw(rng: np.random.Generator) -> Light:
        """Draw a light from above, left or right, hard or soft."""
        towards = np.array([rng.uniform(-0.7, 0.7), rng.uniform(-0.9, -0.5), rng.uniform(0.5, 0.8)])
        x, y, z = (float(value) for value in towards / np.linalg.norm(towards))
        return Light((x, y, z), float(rng.uniform(0.35, 0.6)))


@dataclass(frozen=True)
class _Cutout:
    """A layer's place on the canvas: its patch's rows and columns, and what it covers there (uint8 0/1)."""

    layer: Layer
    rows: slice
    columns: slice
    inside: np.ndarray


class Stencilled:
    """A figure in its pose on a canvas of a given size, its silhouettes worked out once."""

    def __init__(self, figure: Figure, pose: Pose, canvas: tuple[int, int]) -> None:
        """Work out the silhouettes of `figure` on a `canvas` of (height, width) supersampled pixels."""
        self.figure, self.pose = figure, pose
        outlines = [outline for layer in figure for outline in layer.outlines]
        ends = np.cumsum([len(outline) for outline in outlines])[:-1]
        placed = iter(np.split(pose.place(np.concatenate(outlines)), ends))
        cutouts = (_cut_out(layer, [next(placed) for _ in layer.outlines], canvas) for layer in figure)
        self.cutouts = [cutout for cutout in cutouts if cutout is not None]


class Ownership:
    """Who is visible where.

    Attributes:
        owner: uint8 (H·2, W·2), the visible object's number, 0 for background and clutter.
    """

    def __init__(self, canvas: tuple[int, int]) -> None:
        """Start with nothing on a `canvas` of (height, width) supersampled pixels."""
        self.owner = np.zeros(canvas, dtype=np.uint8)

    def cover(self, item: Stencilled, number: int = 0) -> None:
        """Let `item` hide what is under it; `number` 0 is clutter."""
        for cutout in item.cutouts:
            self.owner[cutout.rows, cutout.columns][cutout.inside.view(bool)] = number

    def visible(self, number: int) -> int:
        """Return how many pixels of an object are visible."""
        return int(np.count_nonzero(self.owner == number))

    def at_image_size(self, numbers: int) -> np.ndarray:
        """Return the object that covers most of each image pixel, uint8 (H, W); of equals the lowest number.

        `numbers` counts the objects; 0 stands for none.
        """
        height, width = (side // SUPERSAMPLING for side in self.owner.shape)
        shares = [
            cv2.resize((self.owner == number).astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
            for number in range(numbers + 1)
        ]
        return np.asarray(np.argmax(np.stack(shares), axis=0), dtype=np.uint8)


class Canvas:
    """A supersampled picture under construction.

    Attributes:
        pixels: float32 (H·2, W·2, 3), RGB 0..255.
    """

    def __init__(self, backdrop: np.ndarray, light: Light) -> None:
        """Start from a supersampled float32 (H·2, W·2, 3) backdrop."""
        self.pixels = np.ascontiguousarray(backdrop, dtype=np.float32)
        self.light = light

    def paint(self, item: Stencilled, rng: np.random.Generator) -> None:
        """Paint a figure's layers over what is there."""
        for cutout in item.cutouts:
            material, shade = cutout.layer.material, cutout.layer.shade
            under = surface(material, rng, *cutout.inside.shape)
            lit = _lit(cutout, under, self.light, item.pose.scale)
            colours = under.times(lit * shade)
            if material.gloss:
                shine = 180 * material.gloss * np.clip(lit - 1.0, 0, 1) ** 2
                colours += cv2.merge([shine, shine, shine])
            target = self.pixels[cutout.rows, cutout.columns]
            target[:] = cv2.copyTo(colours, cutout.inside, target.copy())

    def shadow(self, item: Stencilled, depth: float = 0.5) -> None:
        """Darken the ground around a figure's feet, shifted away from the light."""
        pose = item.pose
        left, _, right, _ = extent(item.figure)
        half = 0.5 * (right - left) * pose.scale * pose.stretch
        sign = -1 if pose.mirrored else 1
        x = pose.x + sign * 0.5 * (left + right) * pose.scale - 0.35 * half * self.light.direction[0]
        flat = max(0.16 * half, 3.0)
        height, width = self.pixels.shape[:2]
        corners = np.array([[x - 1.4 * half, pose.y - 2.2 * flat], [x + 1.4 * half, pose.y + 2.2 * flat]])
        patch = _patch(corners, (height, width))
        if patch is None:
            return
        rows, columns = patch
        y_axis = (np.arange(rows.start, rows.stop, dtype=np.float32) - pose.y) / flat
        x_axis = (np.arange(columns.start, columns.stop, dtype=np.float32) - x) / (0.8 * half)
        light = (1 - depth * np.outer(np.exp(-(y_axis**2)), np.exp(-(x_axis**4)))).astype(np.float32)
        self.pixels[rows, columns] *= cv2.merge([light, light, light])

    def photograph(self) -> np.ndarray:
        """Return the picture at image size, float32 (H, W, 3)."""
        height, width = (side // SUPERSAMPLING for side in self.pixels.shape[:2])
        return np.asarray(cv2.resize(self.pixels, (width, height), interpolation=cv2.INTER_AREA))


def _patch(points: np.ndarray, canvas: tuple[int, int]) -> tuple[slice, slice] | None:
    """Return the rows and columns around `points` (N, 2) that lie on the canvas."""
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    left, top = max(int(left) - 3, 0), max(int(top) - 3, 0)
    right, bottom = min(int(right) + 4, canvas[1]), min(int(bottom) + 4, canvas[0])
    if right <= left or bottom <= top:
        return None
    return slice(top, bottom), slice(left, right)


def _cut_out(layer: Layer, placed: list[np.ndarray], canvas: tuple[int, int]) -> _Cutout | None:
    patch = _patch(np.concatenate(placed), canvas)
    if patch is None:
        return None
    rows, columns = patch
    inside = np.zeros((rows.stop - rows.start, columns.stop - columns.start), dtype=np.uint8)
    for outline in placed:
        corners = np.round((outline - (columns.start, rows.start)) * (1 << _SUBPIXEL_BITS)).astype(np.int32)
        cv2.fillPoly(inside, [corners], 1, shift=_SUBPIXEL_BITS)
    return _Cutout(layer, rows, columns, inside)


def _lit(cutout: _Cutout, under: Surface, light: Light, scale: float) -> np.ndarray:
    """Return the brightness of a surface rounded off towards its edges, float32, about 1 where flat."""
    if cutout.layer.relief <= 0:
        return np.ones(cutout.inside.shape, dtype=np.float32)
    x, y, z = light.direction
    reach = max(cutout.layer.relief * scale, 1.5)
    depth = np.minimum(cv2.distanceTransform(cutout.inside, cv2.DIST_L2, 3) * np.float32(1 / reach), 1)
    height = np.float32(reach) * np.sqrt(depth * (2 - depth))
    height = cv2.GaussianBlur(height, (0, 0), sigmaX=max(0.12 * reach, 0.8))
    if cutout.layer.material.bump:
        height += np.float32(cutout.layer.material.bump) * under.structure
    slope_x = cv2.Sobel(height, cv2.CV_32F, 1, 0, scale=0.125)
    slope_y = cv2.Sobel(height, cv2.CV_32F, 0, 1, scale=0.125)
    facing = (z - slope_x * x - slope_y * y) / np.sqrt(1 + slope_x**2 + slope_y**2)
    return np.asarray(light.ambient + (1.15 - light.ambient) / max(z, 0.55) * np.maximum(facing, 0))
