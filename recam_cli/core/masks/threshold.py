"""The background threshold of seeds, chosen without ground truth.

Two rules look at the scores, the largest class map in each cell; the higher answer counts, because a threshold that is
too low (everything is object) costs more than one too high:

- the mean plus a quarter of the standard deviation. A map normalised to a maximum of 1 has a high and a low mode; how
  high both lie depends on the weights it is read with (plain CAM low, FC1 ⊙ FC2 high), and so does their mean, which
  falls between them where object and background are of similar size;
- Otsu's threshold (1979), which also finds the gap above a large background, where the mean lies within the low mode.

Both are taken within images, which weigh the same. The quarter was set once, on photographs whose masks were known; no
mask is needed to apply it. `tests/benchmarks/bench_msrc.py` prints how far the result stays behind the best threshold.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from recam_cli.core.cams.store import Seed
from recam_cli.core.errors import DataError

BINS = 1000
SPREAD_SHARE = 0.25
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


@dataclass(frozen=True)
class Scores:
    """What thresholds are chosen from, every image weighing the same.

    Attributes:
        histogram: float64 (BINS,) of each cell's largest class score, over [0, 1].
        mean: their mean.
        spread: their standard deviation within images.
        images: number of images with a class.
    """

    histogram: np.ndarray
    mean: float
    spread: float
    images: int


def score_statistics(seeds: Iterable[Seed]) -> Scores:
    """Read the scores of a set of seeds, in one pass and constant memory."""
    histogram = np.zeros(BINS, dtype=np.float64)
    mean, variance, images = 0.0, 0.0, 0
    for seed in seeds:
        if len(seed.classes) == 0:
            continue
        scores = seed.maps.max(axis=0).astype(np.float64)
        histogram += np.histogram(scores, BINS, (0.0, 1.0))[0] / scores.size
        mean += float(scores.mean())
        variance += float(scores.var())
        images += 1
    return Scores(histogram, mean / max(1, images), (variance / max(1, images)) ** 0.5, images)


def choose_threshold(seeds: Iterable[Seed]) -> AutoThreshold:
    """Choose the background threshold of a set of seeds, read one at a time.

    Raises:
        DataError: no seed has a class.
    """
    scores = _known_statistics(seeds, "--threshold")
    answers = {
        "mean score plus a quarter of its deviation": scores.mean + SPREAD_SHARE * scores.spread,
        "Otsu's threshold of the scores": otsu(scores.histogram),
    }
    rule = max(answers, key=lambda name: answers[name])
    return _chosen(answers[rule], rule, scores)


def share_above(seeds: Iterable[Seed], threshold: float) -> float:
    """Return the share of cells whose largest class map exceeds `threshold`, images weighing the same; 0 without any.

    Only images with a class count.
    """
    shares = [float((seed.maps.max(axis=0) > threshold).mean()) for seed in seeds if len(seed.classes)]
    return sum(shares) / max(1, len(shares))


def keep_share(walked: Iterable[Seed], share: float) -> AutoThreshold:
    """Choose the threshold of walked seeds at which `share` of the cells are object, without ground truth.

    The random walk moves scores, but where the seeds had so much object at their own threshold, there is about as much
    of it after the walk, too. How high the walked scores lie changes with what was taken off before.

    Raises:
        DataError: no seed has a class.
    """
    scores = _known_statistics(walked, "--walk-threshold")
    above = 1 - np.cumsum(scores.histogram) / scores.histogram.sum()
    value = (int(np.argmin(np.abs(above - share))) + 1) / BINS
    return _chosen(value, f"as much object, {100 * share:.1f} % of the cells, as the seeds have at theirs", scores)


def _known_statistics(seeds: Iterable[Seed], option: str) -> Scores:
    """Return `score_statistics`, or refuse where no seed has a class; `option` is what to give instead."""
    scores = score_statistics(seeds)
    if scores.images == 0:
        raise DataError(
            "no threshold can be chosen: no image of the split has a labelled class",
            remedy=f"Give labels, or a {option}",
        )
    return scores


def _chosen(value: float, how: str, scores: Scores) -> AutoThreshold:
    value = min(max(value, 1 / BINS), 1 - 1 / BINS)
    return AutoThreshold(round(value, 4), f"{how}, {scores.images} seeds, without ground truth", scores.images)


def otsu(histogram: np.ndarray) -> float:
    """Return the threshold that maximises the variance between both sides of a histogram over [0, 1] (Otsu, 1979)."""
    edges = np.arange(1, len(histogram) + 1) / len(histogram)
    centres = edges - 0.5 / len(histogram)
    weight, moment = np.cumsum(histogram), np.cumsum(histogram * centres)
    rest = weight[-1] - weight
    between = (moment[-1] * weight / weight[-1] - moment) ** 2 / np.maximum(weight * rest, 1e-12)
    # Between two separate modes every cut is as good: take the middle of the best ones.
    best = np.flatnonzero(between >= between.max() * (1 - 1e-9))
    return float(edges[best].mean())
