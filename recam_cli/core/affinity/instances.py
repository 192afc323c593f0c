"""From a displacement field, boundaries and class maps to instances (IRN, Ahn et al., CVPR 2019, §4).

1. Every cell follows the field, D_u(x) = D_{u-1}(x) + D(x + D_{u-1}(x)), until where it ends says which object it
   belongs to.
2. Where the field is nearly 0 lie centroids; their connected components are the objects, and a cell belongs to that in
   which it ends. The cells that end in none are a group of their own. No class is known to this map.
3. Class maps are split by these groups, and each part walks within the boundaries. As the walk is linear, the parts of
   a class sum to what the class itself walks to.
4. Every pixel of an object takes the group whose part of its class is largest there. Which pixels are objects, and of
   which class, the mask says. (As published, the largest part itself would have to exceed the background's threshold:
   an object in several groups, or two of a class that touch, would lose what they share, and instances would not be
   those of the masks.)
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from recam_cli.core.affinity.grids import on_grid
from recam_cli.core.affinity.spread import boundary_walk
from recam_cli.core.affinity.walk import BETA, RADIUS, STEPS
from recam_cli.core.cams.floor import without_floor
from recam_cli.core.cams.store import Seed
from recam_cli.core.data.samples import BACKGROUND, IGNORE
from recam_cli.core.data.sizes import value_counts, work_size
from recam_cli.core.data.transforms import resized_mask

FOLLOW = 100
"""As the paper; the published code follows for 300, which makes no difference once all have arrived."""
CENTROID = 2.5
"""Published: where the field is shorter than so many cells lie centroids."""
FRAGMENT = 0.01
"""Pieces below this share of the image count as no instance of their own; the published code keeps them, scored 0."""
MOST = 254
"""Instances an image can have: as many as an 8-bit map can number, apart from 255, which means ignore."""


@dataclass(frozen=True)
class Instances:
    """The instances of one image.

    Attributes:
        map: uint8 (H, W), 0 background, n the n-th instance.
        classes: int64 (n,), 0-based class ids.
        scores: float32 (n,) in [0, 1], descending: the largest score within the instance, as a share of the image's.
    """

    map: np.ndarray
    classes: np.ndarray
    scores: np.ndarray


@dataclass(frozen=True)
class Parts:
    """Walked class maps, split by groups.

    Attributes:
        maps: float32 (n, h, w), divided by the largest value of all.
        classes: int64 (n,), 0-based class ids.
    """

    maps: np.ndarray
    classes: np.ndarray


def follow(field: Tensor, steps: int = FOLLOW) -> Tensor:
    """Return where each cell ends that follows `field`, (2, h, w) of (dy, dx) in cells: its (y, x), float32 (2, h, w).

    Between cells the field is bilinear, and nothing leaves the grid.
    """
    height, width = field.shape[1:]
    rows = torch.arange(height, device=field.device, dtype=torch.float32)[:, None].expand(height, width)
    columns = torch.arange(width, device=field.device, dtype=torch.float32).expand(height, width)
    place = torch.stack([rows, columns])
    last = place.new_tensor([height - 1, width - 1])[:, None, None]
    field = field.float()[None]
    for _ in range(steps):
        # As `grid_sample` counts: (x, y), -1 and 1 the centres of the first and last cell.
        at = (2 * place / last.clamp(min=1) - 1).flip(0).permute(1, 2, 0)[None]
        there = F.grid_sample(field, at, mode="bilinear", padding_mode="border", align_corners=True)[0]
        place = torch.minimum((place + there).clamp_(min=0), last)
    return place


def group_cells(field: Tensor, *, steps: int = FOLLOW, centroid: float = CENTROID) -> np.ndarray:
    """Return the class-agnostic instance map of a field (2, h, w): int64 (h, w), groups 0, 1, … without gaps.

    Args:
        field: (dy, dx) in cells, from a cell to its object's centre.
        steps: along the field.
        centroid: cells with a shorter displacement are centroids.
    """
    near = (field.float().square().sum(0).sqrt() < centroid).to(torch.uint8).cpu().numpy()
    components = cv2.connectedComponents(near, connectivity=4)[1]
    ends = follow(field, steps).round().long().cpu().numpy()
    return np.unique(components[ends[0], ends[1]], return_inverse=True)[1].reshape(near.shape)


@torch.inference_mode()
def walk_parts(
    seed: Seed,
    groups: np.ndarray,
    boundaries: Tensor,
    *,
    floor: float = 0.0,
    radius: int = RADIUS,
    beta: float = BETA,
    steps: int = STEPS,
) -> Parts:
    """Split the class maps of one image by `groups` and let each part walk.

    Args:
        seed: of the image.
        groups: int64 (h, w), as from `group_cells`.
        boundaries: boundary scores (h, w) on the grid of the groups, on the device to compute on.
        floor, radius, beta, steps: as of `spread.spread_seeds`.

    Returns:
        The parts that hold anything at all; those of a class lie together.
    """
    walk = boundary_walk(boundaries[None], radius=radius, beta=beta)
    maps = torch.from_numpy(without_floor(seed.maps, floor)).to(boundaries.device)
    start = walk.start(on_grid(maps[None], walk.grid))[0]
    member = F.one_hot(torch.from_numpy(groups).to(boundaries.device)).permute(2, 0, 1)
    split = (start[:, None] * member).flatten(0, 1)  # (n·G, h, w)
    holds = split.amax(dim=(1, 2)) > 0
    classes = np.repeat(seed.classes, len(member))[holds.cpu().numpy()]
    if len(classes) == 0:
        return Parts(np.zeros((0, *groups.shape), np.float32), classes)
    walked = walk.transition.walk(split[holds][None], steps)[0]
    return Parts((walked / walked.amax().clamp(min=1e-12)).cpu().numpy(), classes)


def instances_of(mask: np.ndarray, parts: Parts, *, fragment: float = FRAGMENT, work_side: int = 0) -> Instances:
    """Return the instances of a mask.

    Args:
        mask: uint8 (H, W), 0 background, class id + 1, 255 ignore.
        parts: of the same image; a class without any is one part of score 0.
        fragment: pieces below this share of the image join the largest piece of their class and group.
        work_side: a mask whose longer side is longer is told apart at `sizes.work_size`, and each of its pixels takes
            the nearest instance of its class; 0: at the mask's own size.

    Returns:
        Instances that fill the mask's objects exactly; of more than `MOST`, the best.
    """
    work = work_size(mask.shape[0], mask.shape[1], work_side)
    if work == mask.shape:
        return _told_apart(mask, parts, fragment)
    return _grown(_told_apart(resized_mask(mask, work), parts, fragment), mask)


def _grown(found: Instances, mask: np.ndarray) -> Instances:
    """Return instances found on a shrunken mask, on the mask itself; a class it lost has one of score 0."""
    here = np.flatnonzero(value_counts(mask)).tolist()
    lost = [value - 1 for value in here if value not in (BACKGROUND, IGNORE) and value - 1 not in found.classes]
    lost = lost[: MOST - len(found.classes)]
    whole = np.zeros(mask.shape, np.uint8)
    for class_id in np.unique(found.classes):
        numbers = np.flatnonzero(found.classes == class_id) + 1
        away = (~np.isin(found.map, numbers)).astype(np.uint8)
        nearest = cv2.distanceTransformWithLabels(away, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)[1]
        owner = np.zeros(int(nearest.max()) + 1, np.uint8)
        owner[nearest[away == 0]] = found.map[away == 0]
        np.copyto(whole, resized_mask(owner[nearest], (mask.shape[0], mask.shape[1])), where=mask == class_id + 1)
    for number, class_id in enumerate(lost, start=len(found.classes) + 1):
        whole[mask == class_id + 1] = number
    classes = np.concatenate([found.classes, np.array(lost, np.int64)])
    return Instances(whole, classes, np.concatenate([found.scores, np.zeros(len(lost), np.float32)]))


def _told_apart(mask: np.ndarray, parts: Parts, fragment: float) -> Instances:
    height, width = mask.shape
    best = np.full(mask.shape, -1.0, np.float32)
    part = np.full(mask.shape, -1, np.int64)
    other = np.setdiff1d(mask, [BACKGROUND, IGNORE, *(parts.classes + 1)]).astype(np.int64) - 1
    owners = np.concatenate([parts.classes, other])
    for number, class_id in enumerate(owners):
        cells = parts.maps[number] if number < len(parts.maps) else np.zeros(parts.maps.shape[1:], np.float32)
        scores = cv2.resize(cells, (width, height), interpolation=cv2.INTER_LINEAR)
        better = (mask == class_id + 1) & (scores > best)
        best[better], part[better] = scores[better], number
    pieces = np.zeros(mask.shape, np.int64)  # numbered from 1 over all parts
    classes, scores = [np.zeros(0, np.int64)], [np.zeros(0, np.float32)]
    before = 0
    for number in np.unique(part[part >= 0]):
        region = part == number
        of_part, count = _pieces(region, fragment)
        pieces[region] = of_part[region] + before
        before += count
        highest = np.zeros(count + 1, np.float32)
        np.maximum.at(highest, of_part[region], best[region])
        scores.append(highest[1:])
        classes.append(np.full(count, owners[number]))
    order = np.argsort(-np.concatenate(scores), kind="stable")[:MOST]
    ranks = np.zeros(before + 1, np.uint8)
    ranks[order + 1] = np.arange(1, len(order) + 1)
    return Instances(ranks[pieces], np.concatenate(classes)[order], np.concatenate(scores)[order])


def _pieces(region: np.ndarray, fragment: float) -> tuple[np.ndarray, int]:
    """Number the connected pieces of a boolean region from 1, small ones as the largest; also returns their number."""
    count, labels, facts, _ = cv2.connectedComponentsWithStats(region.astype(np.uint8), connectivity=4)
    areas = facts[1:count, cv2.CC_STAT_AREA]
    large = areas >= fragment * region.size
    large[areas.argmax()] = True
    numbers = np.concatenate([[0], np.cumsum(large)])
    numbers[1:][~large] = numbers[areas.argmax() + 1]
    return numbers[labels], int(large.sum())
