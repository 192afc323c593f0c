"""Whether a classifier has learned its classes: AP with an interval, beside what chance would give.

AP of a class says little by itself: of few photographs it is wide, and of a common class it is high by chance. So both
are measured: the interval by drawing the photographs anew (bootstrap, 5 % to 95 %), chance by shuffling the scores. A
class is learned where even the interval's lower end lies above what nineteen of twenty shuffles reach.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from recam_cli.core.metrics.classification import average_precision

FEWEST = 5
"""Photographs with a class, and without it, below which nothing is said of it: the interval spans nearly all."""
_DRAWS = 400

Verdict = Literal["learned", "not learned", "too few"]


@dataclass(frozen=True)
class Learned:
    """What is known of one class.

    Attributes:
        photographs: with the class, among those scored.
        without: photographs without it.
        ap: average precision in percent; None where no photograph has the class.
        low, high: its interval, in percent.
        chance: what nineteen of twenty random rankings stay below, in percent.
        verdict: "too few" where there are fewer than 5 photographs with or without it.
    """

    photographs: int
    without: int
    ap: float | None
    low: float | None
    high: float | None
    chance: float | None
    verdict: Verdict

    def as_dict(self) -> dict[str, Any]:
        """Return it JSON-ready."""
        return asdict(self)


def judge(scores: np.ndarray, targets: np.ndarray, classes: Sequence[str], seed: int = 0) -> dict[str, Learned]:
    """Judge each class by scores of photographs that did not train them.

    Args:
        scores: (N, K), higher for photographs more likely to show the class.
        targets: (N, K) multi-hot.
        classes: K names.
        seed: of the draws.
    """
    rng = np.random.default_rng((seed, len(scores)))
    return {name: _of_class(scores[:, k], targets[:, k] > 0, rng) for k, name in enumerate(classes)}


def _of_class(scores: np.ndarray, positive: np.ndarray, rng: np.random.Generator) -> Learned:
    count, size, ap = int(positive.sum()), len(positive), average_precision(scores, positive)
    if ap is None:
        return Learned(0, size, None, None, None, None, "too few")
    drawn = rng.integers(0, size, (_DRAWS, size))
    boot = _precisions(scores[drawn], positive[drawn])
    boot = boot[positive[drawn].any(axis=1)]
    low, high = np.quantile(boot, [0.05, 0.95])
    shuffled = rng.permuted(np.broadcast_to(positive, (_DRAWS, size)), axis=1)
    chance = np.quantile(_precisions(np.broadcast_to(scores, (_DRAWS, size)), shuffled), 0.95)
    verdict: Verdict = "learned" if low > chance else "not learned"
    if min(count, size - count) < FEWEST:
        verdict = "too few"
    ap, low, high, chance = (round(100 * float(value), 2) for value in (ap, low, high, chance))
    return Learned(count, size - count, ap, low, high, chance, verdict)


def _precisions(scores: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """Return the average precision of each row of (R, N) scores; equal scores count by their place."""
    order = np.argsort(-scores, axis=1, kind="stable")
    hits = np.take_along_axis(positive, order, axis=1)
    precision = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    return np.asarray((precision * hits).sum(axis=1) / np.maximum(1, hits.sum(axis=1)))


def standard_error(scores: np.ndarray, targets: np.ndarray, seed: int = 0) -> float:
    """Return the standard error of the mean AP (0 to 1), by drawing the photographs anew; 0 without any."""
    present = (targets > 0).any(axis=0)
    if not present.any():
        return 0.0
    rng = np.random.default_rng((seed, len(scores)))
    drawn = rng.integers(0, len(scores), (_DRAWS // 4, len(scores)))
    columns = []
    for k in np.flatnonzero(present):
        positive = targets[:, k][drawn] > 0
        values = _precisions(scores[:, k][drawn], positive)
        columns.append(np.where(positive.any(axis=1), values, np.nan))
    values = np.stack(columns)
    known = ~np.isnan(values)
    any_known = known.any(axis=0)  # a draw may hold no photograph of any class
    means = np.nansum(values, axis=0)[any_known] / known.sum(axis=0)[any_known]
    return float(means.std()) if len(means) else 0.0
