"""Scenes: objects that share bodies, side by side among clutter, with the exact mask of what is visible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recam_cli.core.data.samples import BACKGROUND
from recam_cli.core.data.shapes.backdrop import BACKDROPS, Backdrop
from recam_cli.core.data.shapes.camera import develop
from recam_cli.core.data.shapes.canvas import (
    SUPERSAMPLING,
    Canvas,
    Figure,
    Light,
    Ownership,
    Stencilled,
    extent,
)
from recam_cli.core.data.shapes.geometry import Pose
from recam_cli.core.data.shapes.objects import (
    CLASSES,
    CLUTTER,
    FAMILIES,
    FAMILY_OF,
    PRETRAIN_CATEGORIES,
    category_figure,
)
from recam_cli.core.data.shapes.spec import ShapesSpec
from recam_cli.core.data.shapes.texture import Material
from recam_cli.core.errors import UsageError

MIN_VISIBLE_PIXELS = 40
"""Least number of image pixels that every label shows."""
_LABEL_COUNT_SHARES = (0.5, 0.38, 0.12)
_SAME_FAMILY_SHARE = 0.6
_SAME_SKIN_SHARE = 0.5
_AT_HOME_SHARE = 0.75
_SIZE_RANGES = ((0.85, 1.3), (0.68, 1.0), (0.58, 0.82))
_LEAST_VISIBLE_SHARE = 0.45
_LEAST_TELLING_SHARE = 0.7
_OCCLUDED_SHARE = 0.4
_OCCLUDERS = ("tuft", "tuft", "bush", "rock", "pole", "fence")
_SECOND_OF_A_CLASS_SHARE = 0.25
_TRIES = 40
_TRIES_WITH_OCCLUDERS = 12


@dataclass(frozen=True)
class _Plan:
    """What stands where: the objects from far to near with their class ids, and what stands before them."""

    objects: list[Stencilled]
    labels: list[int]
    front: list[Stencilled]

    def mask(self, canvas: tuple[int, int]) -> np.ndarray | None:
        """Return the exact mask, uint8 (H, W), or None where an object or its telling part is too hidden."""
        ownership = Ownership(canvas)
        whole = []
        for number, item in enumerate(self.objects, start=1):
            ownership.cover(item, number)
            whole.append(ownership.visible(number))
        for item in self.front:
            ownership.cover(item)
        for number, (pixels, telling) in enumerate(whole, start=1):
            seen, told = ownership.visible(number)
            if seen < _LEAST_VISIBLE_SHARE * pixels or told < max(_LEAST_TELLING_SHARE * telling, 1):
                return None
        values = np.array([BACKGROUND, *(label + 1 for label in self.labels)], dtype=np.uint8)
        mask = values[ownership.at_image_size(len(self.objects))]
        enough = all(np.count_nonzero(mask == label + 1) >= MIN_VISIBLE_PIXELS for label in self.labels)
        return mask if enough else None


def draw_labels(rng: np.random.Generator) -> tuple[int, ...]:
    """Draw 1–3 class ids, ascending; classes of one family meet more often than chance would have it."""
    count = 1 + int(rng.choice(3, p=_LABEL_COUNT_SHARES))
    names = [CLASSES[int(rng.integers(len(CLASSES)))]]
    while len(names) < count:
        family = (
            FAMILY_OF[names[0]] if rng.random() < _SAME_FAMILY_SHARE else FAMILIES[int(rng.integers(len(FAMILIES)))]
        )
        open_names = [name for name in family.members if name not in names]
        if open_names:
            names.append(open_names[int(rng.integers(len(open_names)))])
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
    home = FAMILY_OF[CLASSES[chosen[int(rng.integers(len(chosen)))]]].homes
    size = _canvas_size(spec)
    stage = _stage(rng, size, home)
    for attempt in range(_TRIES):
        plan = _plan(rng, size, stage.horizon, chosen, occluded=attempt < _TRIES_WITH_OCCLUDERS)
        mask = plan.mask(size)
        if mask is not None:
            behind = _clutter_behind(rng, size, stage.horizon, int(rng.integers(1, 5)))
            return develop(rng, _paint(rng, stage, behind, plan)), mask, chosen
    raise UsageError(
        f"shapes: {len(chosen)} objects do not fit into {spec.size[0]}×{spec.size[1]} pixels",
        remedy="Choose a larger image size",
    )


def single_object_scene(
    rng: np.random.Generator, spec: ShapesSpec | None = None, category: int | None = None
) -> tuple[np.ndarray, int]:
    """Draw one photograph of a single object for pre-training a backbone.

    Args:
        rng: draws everything.
        spec: its `size` is the image's; the default spec if None.
        category: index into `PRETRAIN_CATEGORIES`; drawn if None.

    Returns:
        image uint8 (H, W, 3) RGB and the category's index. None of the data set's `CLASSES` is shown.
    """
    spec = spec or ShapesSpec()
    chosen = int(rng.integers(len(PRETRAIN_CATEGORIES))) if category is None else category
    size = _canvas_size(spec)
    stage = _stage(rng, size, tuple(BACKDROPS))
    figure = category_figure(rng, PRETRAIN_CATEGORIES[chosen])
    left, top, right, bottom = extent(figure)
    scale = rng.uniform(0.45, 0.9) * min(size[0] / (bottom - top), size[1] / (right - left))
    pose = _pose(rng, figure, size, scale, rng.uniform(0.1, 0.9), rng.uniform(0.35, 0.9), stage.horizon)
    behind = _clutter_behind(rng, size, stage.horizon, int(rng.integers(0, 4)))
    plan = _Plan([Stencilled(figure, pose, size)], [], [])
    return develop(rng, _paint(rng, stage, behind, plan)), chosen


def _canvas_size(spec: ShapesSpec) -> tuple[int, int]:
    return spec.size[0] * SUPERSAMPLING, spec.size[1] * SUPERSAMPLING


def _stage(rng: np.random.Generator, size: tuple[int, int], home: Sequence[str]) -> Backdrop:
    names = tuple(home) if rng.random() < _AT_HOME_SHARE else tuple(BACKDROPS)
    return BACKDROPS[names[int(rng.integers(len(names)))]](rng, *size)


def _pose(
    rng: np.random.Generator,
    figure: Figure,
    canvas: tuple[int, int],
    scale: float,
    across: float,
    down: float,
    horizon: float,
) -> Pose:
    """Return a pose that keeps the figure on the canvas; `across` and `down` are shares of the free room."""
    left, top, right, bottom = extent(figure)
    mirrored = bool(rng.random() < 0.5)
    stretch = float(rng.uniform(0.85, 1.1))
    if mirrored:
        left, right = -right, -left
    height, width = canvas
    low, high = 3 - left * scale * stretch, width - 3 - right * scale * stretch
    x = low + across * (high - low) if high > low else (low + high) / 2
    y = np.clip((horizon + down * (1 - horizon)) * height, -top * scale + 4, height - bottom * scale - 2)
    return Pose(float(x), float(y), float(scale), float(rng.normal(0, 0.05)), stretch, mirrored)


def _plan(
    rng: np.random.Generator, size: tuple[int, int], horizon: float, labels: Sequence[int], *, occluded: bool
) -> _Plan:
    """Draw objects, spread over the width from far to near, and what stands before some of them."""
    crowd = list(labels)
    if len(crowd) < len(_SIZE_RANGES) and rng.random() < _SECOND_OF_A_CLASS_SHARE:
        crowd.append(crowd[int(rng.integers(len(crowd)))])
    low, high = _SIZE_RANGES[len(crowd) - 1]
    skins: dict[str, Material] = {}
    placed = []
    for slot, label in zip(rng.permutation(len(crowd)), crowd, strict=True):
        family = FAMILY_OF[CLASSES[label]]
        skin = family.skin(rng)
        if rng.random() < _SAME_SKIN_SHARE:
            skin = skins.setdefault(family.name, skin)
        figure = family.members[CLASSES[label]](rng, skin)
        down = float(rng.uniform(0.3, 0.95))
        scale = family.size * size[0] * rng.uniform(low, high) * (0.85 + 0.25 * down)
        across = (slot + rng.uniform(0.05, 0.95)) / len(crowd)
        pose = _pose(rng, figure, size, scale, across, down, horizon)
        placed.append((Stencilled(figure, pose, size), label))
    placed.sort(key=lambda pair: pair[0].pose.y)
    objects = [item for item, _ in placed]
    front = [_occluder(rng, size, item) for item in objects if occluded and rng.random() < _OCCLUDED_SHARE]
    return _Plan(objects, [label for _, label in placed], front)


def _clutter_behind(rng: np.random.Generator, size: tuple[int, int], horizon: float, count: int) -> list[Stencilled]:
    height, width = size
    items = []
    for _ in range(count):
        name = tuple(CLUTTER)[int(rng.integers(len(CLUTTER)))]
        y = height * rng.uniform(horizon + 0.02, horizon + 0.25)
        scale = height * rng.uniform(0.16, 0.34) * (0.6 + 0.6 * y / height)
        pose = Pose(float(rng.uniform(0, width)), float(y), float(scale), float(rng.normal(0, 0.03)))
        items.append(Stencilled(CLUTTER[name](rng), pose, size))
    return sorted(items, key=lambda item: item.pose.y)


def _occluder(rng: np.random.Generator, size: tuple[int, int], item: Stencilled) -> Stencilled:
    """Return clutter that stands before a part of `item`."""
    left, _, right, _ = extent(item.figure)
    x = item.pose.x + rng.uniform(left, right) * item.pose.scale
    y = min(item.pose.y + rng.uniform(0.02, 0.10) * size[0], size[0] * 1.02)
    name = _OCCLUDERS[int(rng.integers(len(_OCCLUDERS)))]
    return Stencilled(CLUTTER[name](rng), Pose(float(x), float(y), float(size[0] * rng.uniform(0.14, 0.26))), size)


def _paint(rng: np.random.Generator, stage: Backdrop, behind: list[Stencilled], plan: _Plan) -> np.ndarray:
    """Return the scene before the camera, float32 (H, W, 3)."""
    canvas = Canvas(stage.pixels, Light.draw(rng))
    for items, depth in ((behind, 0.35), (plan.objects, 0.5)):
        for item in items:
            canvas.shadow(item, depth)
            canvas.paint(item, rng)
    for item in plan.front:
        canvas.paint(item, rng)
    return canvas.photograph()
