"""The background threshold of seeds, chosen without ground truth.

The threshold is the mean of the seeds' scores plus a fifth of their standard deviation: mean and variance over the
cells of each image's largest class map, then averaged over the images. A map normalised to a maximum of 1 has a high
and a low mode; how high both lie depends on the weights it is read with (plain CAM low, FC1 ⊙ FC2 high), and so does
their mean, which therefore falls between them whatever the weights. The fifth was set once, on photographs whose masks
were known, because a threshold that is too low costs more than one too high; no mask is needed to apply it. The
benchmark `tests/benchmarks/bench_msrc.py` prints how far the result stays behind the best threshold.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from recam_cli.core.cams.store import Seed
from recam_cli.core.errors import DataError

_MARGIN = 0.001
SPREAD_SHARE = 0.2
"""Standard deviations above the mean."""


@dataclass(frozen=True)
class AutoThreshold:
    """A threshold chosen from the seeds alone.

    Attributes:
        value: the background's score, in (0, 1).
        how: how it was chosen, in words.
        images: number of images with at least one class, which it was chosen from.
    """

    value: float
    how: str
    images: int


def score_moments(seeds: Iterable[Seed]) -> tuple[float, float, int]:
    """Return what the threshold is chosen from, in one pass and constant memory.

    Returns:
        mean and standard deviation, within images, of each cell's largest class score, every image weighing the same;
        the number of images with a class.
    """
    mean, variance, images = 0.0, 0.0, 0
    for seed in seeds:
        if len(seed.classes) == 0:
            continue
        scores = seed.maps.max(axis=0).astype(np.float64)
        mean += float(scores.mean())
        variance += float(scores.var())
        images += 1
    return mean / max(1, images), (variance / max(1, images)) ** 0.5, images


def choose_threshold(seeds: Iterable[Seed]) -> AutoThreshold:
    """Choose the background threshold of a set of seeds, read one at a time.

    Raises:
        DataError: no seed has a class.
    """
    mean, spread, images = score_moments(seeds)
    if images == 0:
        raise DataError(
            "no threshold can be chosen: no image of the split has a labelled class",
            remedy="Give labels, or a --threshold",
        )
    value = min(max(mean + SPREAD_SHARE * spread, _MARGIN), 1 - _MARGIN)
    how = f"mean score of {images} seeds plus a fifth of its deviation, without ground truth"
    return AutoThreshold(round(value, 4), how, images)
