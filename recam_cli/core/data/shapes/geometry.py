"""Outlines in an object's own coordinates: x right, y down, feet on y = 0, about one body length a unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

Polygon = np.ndarray
"""float64 (N, 2): the corners (x, y) of one closed outline."""
Points = Sequence[tuple[float, float]]


def polygon(points: Points) -> Polygon:
    """Return the straight-edged outline through `points`."""
    return np.asarray(points, dtype=np.float64)


def box(left: float, top: float, right: float, bottom: float) -> Polygon:
    """Return an upright rectangle."""
    return polygon([(left, top), (right, top), (right, bottom), (left, bottom)])


def pane(left: float, top: float, right: float, bottom: float, corner: float = 0.05) -> Polygon:
    """Return an upright rectangle whose corners are rounded off by `corner`."""
    places = [(right - corner, bottom - corner), (left + corner, bottom - corner)]
    places += [(left + corner, top + corner), (right - corner, top + corner)]
    ring = corner * np.concatenate([_circle(16), _circle(16)[:1]])
    return np.concatenate([ring[4 * i : 4 * i + 5] + np.array(place) for i, place in enumerate(places)])


def ellipse(x: float, y: float, across: float, down: float, turn: float = 0.0, corners: int = 28) -> Polygon:
    """Return an ellipse with radii `across` and `down`, turned by `turn` radians."""
    flat = _circle(corners) * (across, down)
    return np.asarray((flat @ _rotation(turn).T if turn else flat) + (x, y))


def rounded(points: Points, times: int = 2) -> Polygon:
    """Return the outline with its corners cut `times` times (Chaikin), so that it looks moulded."""
    corners = polygon(points)
    for _ in range(times):
        following = np.concatenate([corners[1:], corners[:1]])
        cut = np.empty((2 * len(corners), 2))
        cut[0::2] = 0.75 * corners + 0.25 * following
        cut[1::2] = 0.25 * corners + 0.75 * following
        corners = cut
    return corners


def blob(points: Points, steps: int = 6) -> Polygon:
    """Return a smooth closed outline through `points` (Catmull-Rom)."""
    knots = polygon(points)
    return _catmull_rom(np.concatenate([knots[-1:], knots, knots[:2]]), steps)


def curve(points: Points, steps: int = 6) -> Polygon:
    """Return a smooth open line through `points`."""
    knots = polygon(points)
    padded = np.concatenate([knots[:1], knots, knots[-1:]])
    return np.concatenate([_catmull_rom(padded, steps), knots[-1:]])


def ribbon(points: Points, start: float, end: float, middle: float | None = None) -> Polygon:
    """Return a band along the smooth line through `points`, of half width `start` → `middle` → `end`."""
    line = curve(points)
    tangent = np.concatenate([line[1:2] - line[:1], line[2:] - line[:-2], line[-1:] - line[-2:-1]])
    length = np.maximum(np.hypot(tangent[:, 0], tangent[:, 1]), 1e-9)[:, None]
    normal = tangent[:, ::-1] * (-1.0, 1.0) / length
    widths = (start, (start + end) / 2 if middle is None else middle, end)
    half = np.interp(np.linspace(0, 1, len(line)), (0, 0.5, 1), widths)[:, None]
    return np.concatenate([line + normal * half, (line - normal * half)[::-1]])


def limb(points: Points, radii: Sequence[float]) -> list[Polygon]:
    """Return the parts of a jointed limb: a disc at each joint, a tapered bar between neighbours."""
    joints = polygon(points)
    parts = [ellipse(x, y, r, r, corners=16) for (x, y), r in zip(joints, radii, strict=True)]
    for first in range(len(joints) - 1):
        start, end = joints[first], joints[first + 1]
        along = end - start
        side = np.array([-along[1], along[0]]) / max(float(np.hypot(*along)), 1e-9)
        a, b = side * radii[first], side * radii[first + 1]
        parts.append(np.stack([start + a, end + b, end - b, start - a]))
    return parts


def ragged(rng: np.random.Generator, x: float, y: float, across: float, down: float, rough: float) -> Polygon:
    """Return an uneven roundish outline, such as a rock's or a cloud's."""
    corners = 11
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False) + rng.uniform(0, 1)
    reach = 1 + rough * rng.uniform(-1, 1, corners)
    ring = np.stack([x + across * reach * np.cos(angle), y + down * reach * np.sin(angle)], axis=1)
    return blob([(float(px), float(py)) for px, py in ring], steps=4)


@dataclass(frozen=True)
class Pose:
    """Where an object stands: its ground point (x, y) in canvas pixels, pixels per unit, tilt and stretch."""

    x: float
    y: float
    scale: float
    tilt: float = 0.0
    stretch: float = 1.0
    mirrored: bool = False

    def place(self, outline: Polygon) -> Polygon:
        """Return `outline` in canvas pixels."""
        sideways = -self.stretch if self.mirrored else self.stretch
        scaled = outline * (self.scale * sideways, self.scale)
        return np.asarray(scaled @ _rotation(self.tilt).T + (self.x, self.y))


@cache
def _circle(corners: int) -> Polygon:
    angle = np.linspace(0.0, 2 * np.pi, corners, endpoint=False)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _catmull_rom(knots: Polygon, steps: int) -> Polygon:
    """Return the spline through `knots` between the second and the last but one, `steps` points a stretch."""
    fours = np.stack([knots[:-3], knots[1:-2], knots[2:-1], knots[3:]], axis=1)
    return np.asarray((_spline_weights(steps) @ fours).reshape(-1, 2))


@cache
def _spline_weights(steps: int) -> np.ndarray:
    t = np.arange(steps) / steps
    weights = [-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2]
    return np.asarray(0.5 * np.stack(weights, axis=1))


def _rotation(angle: float) -> np.ndarray:
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin], [sin, cos]])
