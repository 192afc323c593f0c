"""Scenes: objects side by side among clutter, with the exact mask of what is visible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from recam_cli.core.data.samples import BACKGROUND
from recam_cli.core.data.shapes.backdrop import BACKDROPS, Backdrop
from recam_cli.core.data.shapes.camera import develop
from recam_cli.core.data.shapes.canvas import SUPERSAMPLING, Canvas, Light, Ownership, Stencilled, extent
from recam_cli.core.data.shapes.geometry import Pose
from recam_cli.core.data.shapes.objects import CLASSES, CLUTTER, KINDS, PAIRS
from recam_cli.core.data.shapes.spec import ShapesSpec
from recam_cli.core.errors import UsageError

MIN_VISIBLE_PIXELS = 40
"""Least number of image pixels that every label shows."""
_BOTH_SHARE = 0.6
"""Of the pictures about a pair, those that show both: about 7 in 10 of a class's pictures, then, show its partner."""
_FURTHER_SHARE = 0.2
_HOME_SHARES = (0.6, 0.4)
_SIZE_RANGES = ((0.55, 0.95), (0.46, 0.8), (0.4, 0.62))
_LEAST_VISIBLE_SHARE = 0.55
_OCCLUDED_SHARE = 0.3
_SECOND_OF_A_CLASS_SHARE = 0.15
_MOST_OBJECTS = len(_SIZE_RANGES)
_TRIES = 40
_TRIES_WITH_OCCLUDERS = 12
_FARTHEST_BLUR = 2.2


@dataclass(frozen=True)
class _Plan:
    """What stands where: the objects from far to near with their class ids, and what stands before them."""

    objects: list[Stencilled]
    labels: list[int]
    front: list[Stencilled]

    def mask(self, canvas: tuple[int, int]) -> np.ndarray | None:
        """Return the exact mask, uint8 (H, W), or None where an object is too hidden."""
        ownership = Ownership(canvas)
        whole = []
        for number, item in enumerate(self.objects, start=1):
            ownership.cover(item, number)
            whole.append(ownership.visible(number))
        for item in self.front:
            ownership.cover(item)
        if any(ownership.visible(n) < _LEAST_VISIBLE_SHARE * pixels for n, pixels in enumerate(whole, start=1)):
            return None
        values = np.array([BACKGROUND, *(label + 1 for label in self.labels)], dtype=np.uint8)
        mask = values[ownership.at_image_size(len(self.objects))]
        enough = all(np.count_nonzero(mask == label + 1) >= MIN_VISIBLE_PIXELS for label in self.labels)
        return mask if enough else None


def draw_labels(rng: np.random.Generator) -> tuple[int, ...]:
    """Draw 1–3 class ids, ascending: one or both of a pair, sometimes a further class that fits in."""
    pair = PAIRS[int(rng.integers(len(PAIRS)))]
    first = int(rng.integers(2))
    names = [pair[first]]
    if rng.random() < _BOTH_SHARE:
        names.append(pair[1 - first])
    fitting = [name for name in CLASSES if name not in pair and _common_homes([*names, name])]
    if fitting and rng.random() < _FURTHER_SHARE:
        names.append(fitting[int(rng.integers(len(fitting)))])
    return tuple(sorted(CLASSES.index(name) for name in names))


def render_scene(
    rng: np.random.Generator, spec: ShapesSpec | None = None, labels: Sequence[int] | None = None
) -> tuple[np.ndarray, np.ndarray, tuple[int, ...]]:
    """Draw one multi-label photograph.

    Args:
        rng: draws everything.
        spec: its `size` is the image's; the default spec if None.
        labels: class ids to show (1..3 of them); drawn if None.

    Returns:
        image uint8 (H, W, 3) RGB; mask uint8 (H, W), 0 background, k + 1 where `CLASSES[k]` is visible;
        the labels, ascending: exactly the classes in the mask, each with at least `MIN_VISIBLE_PIXELS`.

    Raises:
        UsageError: the labels do not fit into an image of this size.
    """
    spec = spec or ShapesSpec()
    chosen = draw_labels(rng) if labels is None else tuple(sorted(set(labels)))
    size = spec.size[0] * SUPERSAMPLING, spec.size[1] * SUPERSAMPLING
    stage = _stage(rng, size, [CLASSES[label] for label in chosen])
    for attempt in range(_TRIES):
        plan = _plan(rng, size, stage, chosen, occluded=attempt < _TRIES_WITH_OCCLUDERS)
        mask = plan.mask(size)
        if mask is not None:
            behind = _clutter_behind(rng, size, stage, int(rng.integers(0, 4)))
            return develop(rng, _paint(rng, stage, behind, plan)), mask, chosen
    raise UsageError(
        f"shapes: {len(chosen)} objects do not fit into {spec.size[0]}×{spec.size[1]} pixels",
        remedy="Choose a larger image size",
    )


def _common_homes(names: Sequence[str]) -> tuple[str, ...]:
    """Return the backdrops on which all of these classes are seen, the first one's order kept."""
    return tuple(home for home in KINDS[names[0]].homes if all(home in KINDS[name].homes for name in names))


def _stage(rng: np.random.Generator, size: tuple[int, int], names: Sequence[str]) -> Backdrop:
    """Draw a backdrop: the usual one of the classes, or another on which they are seen."""
    homes = _common_homes(names) or KINDS[names[0]].homes
    usual = rng.random() < _HOME_SHARES[0]
    return BACKDROPS[homes[0] if usual else homes[int(rng.integers(len(homes)))]](rng, *size)


def _pose(
    rng: np.random.Generator,
    item: tuple[float, float, float, float],
    name: str,
    canvas: tuple[int, int],
    stage: Backdrop,
    scale: float,
    across: float,
    down: float,
) -> Pose:
    """Return a pose that keeps a figure of this extent on the canvas; `across` and `down` are shares of the room."""
    left, top, right, bottom = item
    mirrored = bool(rng.random() < 0.5)
    stretch = float(rng.uniform(0.9, 1.08))
    if mirrored:
        left, right = -right, -left
    height, width = canvas
    low, high = 3 - left * scale * stretch, width - 3 - right * scale * stretch
    x = low + across * (high - low) if high > low else (low + high) / 2
    first, last = _standing_room(name, stage)
    y = np.clip((first + down * (last - first)) * height, -top * scale + 4, height - bottom * scale - 2)
    tilt = 0.25 if KINDS[name].place == "air" else 0.04
    return Pose(float(x), float(y), float(scale), float(rng.normal(0, tilt)), stretch, mirrored)


def _standing_room(name: str, stage: Backdrop) -> tuple[float, float]:
    """Return the first and the last row for a figure's feet, as shares of the height."""
    place = KINDS[name].place
    if place == "sky":
        return 0.2, stage.horizon + 0.12
    if place == "air":
        return 0.3, 0.95
    if place == "water":
        return stage.horizon + 0.16, max(stage.shore - 0.04, stage.horizon + 0.2)
    dry = stage.shore + 0.05 if stage.shore < 1 else stage.horizon + 0.2
    return dry, 0.98


def _plan(
    rng: np.random.Generator, size: tuple[int, int], stage: Backdrop, labels: Sequence[int], *, occluded: bool
) -> _Plan:
    """Draw objects, spread over the width from far to near, and what stands before some of them."""
    crowd = list(labels)
    if len(crowd) < _MOST_OBJECTS and rng.random() < _SECOND_OF_A_CLASS_SHARE:
        crowd.append(crowd[int(rng.integers(len(crowd)))])
    low, high = _SIZE_RANGES[len(crowd) - 1]
    placed = []
    for slot, label in zip(rng.permutation(len(crowd)), crowd, strict=True):
        kind = KINDS[CLASSES[label]]
        figure = kind.build(rng)
        bounds = extent(figure)
        down = float(rng.random())
        share = kind.size * rng.uniform(low, high) * (0.88 + 0.2 * down)
        scale = min(share * size[0] / (bounds[3] - bounds[1]), 0.92 * size[1] / (bounds[2] - bounds[0]))
        across = (slot + rng.uniform(0.1, 0.9)) / len(crowd)
        pose = _pose(rng, bounds, CLASSES[label], size, stage, scale, across, down)
        placed.append((Stencilled(figure, pose, size), label))
    placed.sort(key=lambda pair: (KINDS[CLASSES[pair[1]]].place == "air", pair[0].pose.y))
    objects = [item for item, _ in placed]
    ids = [label for _, label in placed]
    standing = [item for item, label in placed if KINDS[CLASSES[label]].place == "ground"]
    front = [_occluder(rng, size, stage, item) for item in standing if occluded and rng.random() < _OCCLUDED_SHARE]
    return _Plan(objects, ids, front)


def _clutter_behind(rng: np.random.Generator, size: tuple[int, int], stage: Backdrop, count: int) -> list[Stencilled]:
    height, width = size
    items = []
    for _ in range(count):
        name = stage.clutter[int(rng.integers(len(stage.clutter)))]
        y = height * rng.uniform(stage.horizon + 0.02, stage.horizon + 0.22)
        scale = height * rng.uniform(0.14, 0.3) * (0.6 + 0.6 * y / height)
        pose = Pose(float(rng.uniform(0, width)), float(y), float(scale), float(rng.normal(0, 0.03)))
        items.append(Stencilled(CLUTTER[name](rng), pose, size))
    return sorted(items, key=lambda item: item.pose.y)


def _occluder(rng: np.random.Generator, size: tuple[int, int], stage: Backdrop, item: Stencilled) -> Stencilled:
    """Return clutter that stands before a part of `item`."""
    left, _, right, _ = extent(item.figure)
    x = item.pose.x + rng.uniform(left, right) * item.pose.scale
    y = min(item.pose.y + rng.uniform(0.02, 0.10) * size[0], size[0] * 1.02)
    name = stage.clutter[int(rng.integers(len(stage.clutter)))]
    return Stencilled(CLUTTER[name](rng), Pose(float(x), float(y), float(size[0] * rng.uniform(0.14, 0.26))), size)


def _paint(rng: np.random.Generator, stage: Backdrop, behind: list[Stencilled], plan: _Plan) -> np.ndarray:
    """Return the scene before the camera, float32 (H, W, 3)."""
    canvas = Canvas(stage.pixels, Light.draw(rng))
    for item in behind:
        canvas.shadow(item, 0.35)
        canvas.paint(item, rng)
    blur = float(rng.uniform(0.0, _FARTHEST_BLUR))
    if blur > 0.4:  # the lens is focused on the objects
        canvas.pixels = cv2.GaussianBlur(canvas.pixels, (0, 0), sigmaX=blur)
    for item, label in zip(plan.objects, plan.labels, strict=True):
        if KINDS[CLASSES[label]].place in ("ground", "water"):
            canvas.shadow(item)
        canvas.paint(item, rng)
    for item in plan.front:
        canvas.paint(item, rng)
    return canvas.photograph()
