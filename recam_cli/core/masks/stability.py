"""How little masks change when the threshold does: what chooses thresholds, sizes and methods without ground truth.

A seed cut too low takes in whatever its map leaks to, one cut too high keeps a part; there the dense CRF, which follows
the edges of the photograph, still moves with the threshold. Where the seed ends near edges, the CRF's mask stays the
same over a range of thresholds: as with maximally stable extremal regions (Matas et al., BMVC 2002), that range is
where the object is. So masks are made at neighbouring thresholds of small copies of some photographs, and compared:
the IoU of their objects, which falls where small parts are left, and of their background, which falls where it is
nearly used up. The stability between two thresholds is the smaller of the two means.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from recam_cli.core.cams.store import STRIDE, Seed
from recam_cli.core.data.samples import BACKGROUND
from recam_cli.core.data.sizes import size_at
from recam_cli.core.data.transforms import resized
from recam_cli.core.masks.crf import CrfParameters
from recam_cli.core.masks.refine import Refinement, SeedRefiner

THRESHOLDS = tuple(round(0.05 + 0.05 * step, 2) for step in range(13))
SIDE = 256
"""Longer side in pixels of the copies: a dense CRF of them takes a tenth of the time of one of 640 pixels."""
SAMPLE = 60
"""Photographs that are compared, at most: the mean IoU of so many is known to about 2 points."""
HOW = Refinement(
    # The kernels of photographs of 320 pixels (appearance 80 pixels wide), brought to these copies.
    parameters=CrfParameters(3.0, 3.0, 64.0, 5.0, 5.0, 10),
    unary="soft",
    temperature=0.1,
)


@dataclass(frozen=True)
class Stability:
    """What neighbouring thresholds say.

    Attributes:
        threshold: where masks are most stable.
        value: how much so, a share from 0 to 1.
        curve: stability of each step of `THRESHOLDS`, smoothed over three.
        images: compared.
    """

    threshold: float
    value: float
    curve: tuple[float, ...]
    images: int

    @property
    def at_limit(self) -> bool:
        """Whether it lies at an end of what was tried, so that a stable one may lie beyond, or there is none."""
        peak = max(range(len(self.curve)), key=lambda step: self.curve[step])
        return peak in (0, len(self.curve) - 1)


def spread_sample(count: int, most: int = SAMPLE) -> list[int]:
    """Return up to `most` of the places 0 … count - 1, evenly spread."""
    return [place * count // min(count, most) for place in range(min(count, most))]


def neighbour_ious(image: np.ndarray, seed: Seed, thresholds: Sequence[float] = THRESHOLDS) -> np.ndarray:
    """Return how alike the CRF's masks at neighbouring thresholds are.

    Args:
        image: uint8 (H, W, 3), of any size.
        seed: its class maps, on any grid; at least one.
        thresholds: T ascending scores of the background.

    Returns:
        float64 (T - 1, 2): the IoU of the objects, where classes must agree, and of the background; 0 of nothing.
    """
    size = size_at(image.shape[0], image.shape[1], SIDE)
    small = Seed(seed.classes, _on_grid(seed.maps, size), size)
    masks = SeedRefiner(resized(image, size), small, HOW).masks(thresholds)
    return np.array([_alike(a, b) for a, b in pairwise(masks)])


def _on_grid(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    rows, columns = (-(-length // STRIDE) for length in size)
    return np.stack([cv2.resize(one, (columns, rows), interpolation=cv2.INTER_AREA) for one in maps])


def _alike(mask: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    here, there = mask != BACKGROUND, other != BACKGROUND
    objects, background = (here | there).sum(), (~here | ~there).sum()
    same, nothing = ((mask == other) & here).sum(), (~here & ~there).sum()
    return float(same / max(1, objects)), float(nothing / max(1, background))


def most_stable(ious: Sequence[np.ndarray], thresholds: Sequence[float] = THRESHOLDS) -> Stability:
    """Return where masks are most stable, over photographs that weigh the same.

    Args:
        ious: of each photograph what `neighbour_ious` returns; at least one.
        thresholds: as there.
    """
    curve = np.mean(np.stack(ious), axis=0).min(axis=1)
    padded = np.pad(curve, 1, mode="edge")
    smooth = (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4
    peak = int(smooth.argmax())
    middles = (np.asarray(thresholds[:-1]) + np.asarray(thresholds[1:])) / 2
    return Stability(
        round(float(middles[peak] + _vertex(smooth, peak) * (middles[1] - middles[0])), 4),
        float(smooth[peak]),
        tuple(round(float(value), 4) for value in smooth),
        len(ious),
    )


def _vertex(curve: np.ndarray, peak: int) -> float:
    """Return where a parabola through the peak and its neighbours is highest, in steps from the peak, within ±½."""
    if not 0 < peak < len(curve) - 1:
        return 0.0
    left, top, right = curve[peak - 1 : peak + 2]
    bend = left - 2 * top + right
    return float(np.clip((left - right) / (2 * bend), -0.5, 0.5)) if bend < 0 else 0.0
