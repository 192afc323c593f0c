"""The background threshold of seeds, chosen without ground truth.

The threshold is the mean of the seeds' scores: of each image the mean over its cells of the largest class map, then the
mean over the images. A map normalised to a maximum of 1 has a high and a low mode; how high both lie depends on the
weights it is read with (plain CAM low, FC1 ⊙ FC2 high), and so does their mean, which therefore falls between them
whatever the weights. The benchmark `tests/benchmarks/bench_msrc.py` prints how far it stays behind the best threshold,
and what Otsu's criterion would give.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from recam_cli.core.cams.store import Seed
from recam_cli.core.errors import DataError

BINS = 1000


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


def score_histogram(seeds: Iterable[Seed]) -> tuple[np.ndarray, float, int]:
    """Return what thresholds are chosen from, in one pass and constant memory.

    Returns:
        float64 (BINS,) histogram over [0, 1] of each cell's largest class score, every image weighing the same; the
        mean of these scores; the number of images with a class.
    """
    histogram = np.zeros(BINS, dtype=np.float64)
    total, images = 0.0, 0
    for seed in seeds:
        if len(seed.classes) == 0:
            continue
        scores = seed.maps.max(axis=0)
        histogram += np.histogram(scores, BINS, (0.0, 1.0))[0] / scores.size
        total += float(scores.mean(dtype=np.float64))
        images += 1
    return histogram, total / max(1, images), images


def choose_threshold(seeds: Iterable[Seed]) -> AutoThreshold:
    """Choose the background threshold of a set of seeds, read one at a time.

    Raises:
        DataError: no seed has a class.
    """
    _, mean, images = score_histogram(seeds)
    if images == 0:
        raise DataError(
            "no threshold can be chosen: no image of the split has a labelled class",
            remedy="Give labels, or a --threshold",
        )
    value = min(max(mean, 1 / BINS), 1 - 1 / BINS)
    return AutoThreshold(round(value, 4), f"mean score of {images} seeds, without ground truth", images)


def otsu(histogram: np.ndarray) -> float:
    """Return the threshold that maximises the variance between both sides of a histogram over [0, 1] (Otsu, 1979)."""
    centres = (np.arange(len(histogram)) + 0.5) / len(histogram)
    weight, moment = np.cumsum(histogram), np.cumsum(histogram * centres)
    spread = (moment[-1] * weight / weight[-1] - moment) ** 2 / np.maximum(weight * (weight[-1] - weight), 1e-12)
    return float(centres[int(np.argmax(spread))])
