"""From seeds and a walk to walked seeds: the last step of IRN (CVPR 2019, §4) and of PSA (CVPR 2018, §3.4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from recam_cli.core.affinity.grids import on_grid
from recam_cli.core.affinity.walk import BETA, RADIUS, STEPS, Transition
from recam_cli.core.cams.floor import without_floor
from recam_cli.core.cams.store import Seed
from recam_cli.core.data.samples import BACKGROUND, IGNORE
from recam_cli.core.errors import UsageError

EPSILON = 1e-5


class Walk(NamedTuple):
    """How the scores of a batch of images walk.

    Attributes:
        transition: one step, on any grid over the photographs.
        passable: (B, h, w) on the same grid, what scores are multiplied by before; None for 1.
    """

    transition: Transition
    passable: Tensor | None = None

    @property
    def grid(self) -> tuple[int, int]:
        """Its (rows, columns)."""
        return self.transition.height, self.transition.width

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
    seeds: Sequence[Seed],
    walk: Walk,
    *,
    floor: float = 0.0,
    alpha: float | None = None,
    labels: Sequence[np.ndarray] | None = None,
    steps: int = STEPS,
) -> list[Seed]:
    """Spread the class maps of images of one size by a random walk.

    Three ways to begin:

    - class maps alone, as published with IRN; each image's walked maps are divided by the largest value of all of them;
    - with `alpha`, as published with PSA: the background walks as one more map, (1 - largest map)^alpha;
    - with `labels`: a cell that is decided sends out its label, the background among them, and an undecided one its
      class scores, and to the background what they leave, 1 - largest map. What leaks into a region is outvoted by what
      is known of it.

    Where the background walks, too, a class scores c / (largest class + background): above 0.5 exactly where it would
    win the argmax over the classes and the background. So all are seeds as any other, to be cut at a threshold.

    Args:
        seeds: B seeds, of photographs of one size.
        walk: of these photographs, on the device to compute on, on any grid.
        floor: taken off the maps before, see `without_floor`; 0 is as published.
        alpha: the background's exponent, published: 16; None: no background walks. Not used with `labels`.
        labels: per image confident labels, uint8 (H, W): 0 background, class id + 1, 255 undecided; or None.
        steps: of the walk.

    Returns:
        B seeds of the same classes, on their own grid, maps in [0, 1].

    Raises:
        UsageError: seeds and walk differ in number, or seeds in their grid.
    """
    degrees, shapes = walk.transition.degrees, {seed.maps.shape[1:] for seed in seeds}
    if len(seeds) != len(degrees) or len(shapes) > 1:
        raise UsageError(f"{len(seeds)} seeds of grids {sorted(shapes)} do not fit a walk of {len(degrees)} images")
    most = max((len(seed.classes) for seed in seeds), default=0)
    if most == 0:
        return list(seeds)
    maps = np.zeros((len(seeds), most, *seeds[0].maps.shape[1:]), np.float32)
    for number, seed in enumerate(seeds):
        maps[number, : len(seed.classes)] = without_floor(seed.maps, floor)
    scores = torch.from_numpy(maps).to(degrees.device)
    if labels is None and alpha is not None:
        scores = torch.cat([(1 - scores.amax(dim=1, keepdim=True)).clamp_(min=0).pow_(alpha), scores], dim=1)
    scores = on_grid(scores, walk.grid)
    if labels is not None:
        scores = labelled_start(scores, labels, [seed.classes for seed in seeds])
    walked = on_grid(walk.transition.walk(walk.start(scores), steps), maps.shape[2:])
    alone = labels is None and alpha is None
    walked = _against_largest(walked) if alone else _against_background(walked)
    return [
        Seed(seed.classes, np.ascontiguousarray(one[: len(seed.classes)]), seed.size, seed.work)
        for seed, one in zip(seeds, walked.cpu().numpy(), strict=True)
    ]


def labelled_start(scores: Tensor, labels: Sequence[np.ndarray], classes: Sequence[np.ndarray]) -> Tensor:
    """Return what walks where confident labels are known, the background first.

    Args:
        scores: (B, n, h, w) in [0, 1], class maps without the floor.
        labels: per image uint8 (H, W): 0 background, class id + 1, 255 undecided.
        classes: per image the class ids of its maps, at most n.

    Returns:
        (B, 1 + n, h, w): the share of each label in a cell, and that of undecided pixels times the scores.
    """
    start = torch.empty(len(scores), 1 + scores.shape[1], *scores.shape[2:], device=scores.device)
    for number, (label, ids) in enumerate(zip(labels, classes, strict=True)):
        values = np.array([IGNORE, BACKGROUND, *(ids + 1)])
        shares = torch.from_numpy((label == values[:, None, None]).astype(np.float32)).to(scores.device)
        shares = on_grid(shares[None], scores.shape[2:])[0]
        here = scores[number]
        start[number, 0] = shares[1] + shares[0] * (1 - here.amax(dim=0))
        start[number, 1:] = shares[0] * here
        start[number, 1 : len(values) - 1] += shares[2:]
    return start


def _against_largest(walked: Tensor) -> Tensor:
    return walked / (walked.amax(dim=(1, 2, 3), keepdim=True) + EPSILON)


def _against_background(walked: Tensor) -> Tensor:
    classes = walked[:, 1:]
    rivals = classes.amax(dim=1, keepdim=True) + walked[:, :1]
    return classes / rivals.clamp_(min=torch.finfo(rivals.dtype).tiny)
