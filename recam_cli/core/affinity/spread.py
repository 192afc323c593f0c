"""From seeds and a walk to walked seeds: the last step of IRN (CVPR 2019, §4) and of PSA (CVPR 2018, §3.4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from recam_cli.core.affinity.walk import BETA, RADIUS, STEPS, Transition
from recam_cli.core.cams.floor import without_floor
from recam_cli.core.cams.store import Seed
from recam_cli.core.errors import UsageError

EPSILON = 1e-5


class Walk(NamedTuple):
    """How the scores of a batch of images walk.

    Attributes:
        transition: one step, on the seeds' grid or on one of half as many cells a side, rounded up.
        passable: (B, h, w) on the same grid, what scores are multiplied by before; None for 1.
    """

    transition: Transition
    passable: Tensor | None = None

    def start(self, scores: Tensor) -> Tensor:
        """Return what of `scores` (B, C, h, w), on the walk's grid, walks."""
        return scores if self.passable is None else scores * self.passable[:, None]


class WalkNet(Protocol):
    """A network that knows how scores may walk on an image."""

    def walk(self, images: Tensor, *, radius: int, beta: float) -> Walk:
        """Return the walk of normalised images (B, 3, H, W), with affinities to the power `beta`."""
        ...


def boundary_walk(boundaries: Tensor, *, radius: int = RADIUS, beta: float = BETA) -> Walk:
    """Return IRN's walk, which boundary scores (B, h, w) in [0, 1] hold back, and which none begins on them."""
    boundaries = boundaries.float()
    return Walk(Transition.within(boundaries, radius=radius, beta=beta), 1 - boundaries)


@torch.inference_mode()
def spread_seeds(
    seeds: Sequence[Seed], walk: Walk, *, floor: float = 0.0, alpha: float | None = None, steps: int = STEPS
) -> list[Seed]:
    """Spread the class maps of images of one size by a random walk.

    Without `alpha` (IRN) each image's walked maps are divided by the largest value of all of them. With it (PSA) the
    background walks as one more map, (1 - largest map)^alpha, and a class scores c / (largest class + background):
    above 0.5 exactly where it would win the argmax over the classes and the background. So both are seeds as any
    other, to be cut at a threshold.

    Args:
        seeds: B seeds, of photographs of one size.
        walk: of these photographs, on the device to compute on.
        floor: taken off the maps before, see `without_floor`; 0 is as published.
        alpha: the background's exponent, published: 16; None: no background walks.
        steps: of the walk.

    Returns:
        B seeds of the same classes, maps in [0, 1].

    Raises:
        UsageError: seeds and walk differ in number or grid.
    """
    degrees, shape = walk.transition.degrees, seeds[0].maps.shape[1:] if seeds else ()
    if len(seeds) != len(degrees) or any(s.maps.shape[1:] != shape for s in seeds) or not _fits(shape, walk):
        raise UsageError(
            f"{len(seeds)} seeds of {tuple(shape)} cells do not fit a walk of shape {tuple(degrees.shape)}"
        )
    most = max((len(seed.classes) for seed in seeds), default=0)
    if most == 0:
        return list(seeds)
    maps = np.zeros((len(seeds), most, *shape), np.float32)
    for number, seed in enumerate(seeds):
        maps[number, : len(seed.classes)] = without_floor(seed.maps, floor)
    scores = torch.from_numpy(maps).to(degrees.device)
    walked = _classes_alone(scores, walk, steps) if alpha is None else _beside_background(scores, walk, alpha, steps)
    return [
        Seed(seed.classes, np.ascontiguousarray(one[: len(seed.classes)]), seed.size)
        for seed, one in zip(seeds, walked.cpu().numpy(), strict=True)
    ]


def _classes_alone(scores: Tensor, walk: Walk, steps: int) -> Tensor:
    walked = _walked(scores, walk, steps)
    return walked / (walked.amax(dim=(1, 2, 3), keepdim=True) + EPSILON)


def _beside_background(scores: Tensor, walk: Walk, alpha: float, steps: int) -> Tensor:
    background = (1 - scores.amax(dim=1, keepdim=True)).clamp_(min=0).pow_(alpha)
    walked = _walked(torch.cat([background, scores], dim=1), walk, steps)
    classes = walked[:, 1:]
    rivals = classes.amax(dim=1, keepdim=True) + walked[:, :1]
    return classes / rivals.clamp_(min=torch.finfo(rivals.dtype).tiny)


def _walked(scores: Tensor, walk: Walk, steps: int) -> Tensor:
    """Return the scores (B, C, h, w) after the walk, on their own grid, whatever the walk's is."""
    height, width = scores.shape[2:]
    coarse = (height, width) != (walk.transition.height, walk.transition.width)
    if coarse:  # the last cells of an odd number are means of what there is of them
        scores = F.avg_pool2d(scores, 2, ceil_mode=True, count_include_pad=False)
    walked = walk.transition.walk(walk.start(scores), steps)
    if coarse:
        walked = F.interpolate(walked, scale_factor=2, mode="bilinear", align_corners=False)
    return walked[:, :, :height, :width]


def _fits(shape: tuple[int, ...], walk: Walk) -> bool:
    grid = walk.transition.height, walk.transition.width
    return tuple(shape) == grid or tuple(-(-side // 2) for side in shape) == grid
