"""Average precision of image-level scores: exact, per class, and its mean.

AP is the sum over the distinct scores s, from the highest, of (recall(>= s) - recall(> s)) · precision(>=
s): the area under the step-wise precision-recall curve without interpolation. Images of equal score enter
together, so the value does not depend on their order.
"""

from __future__ import annotations

import numpy as np

from recam_cli.core.errors import TrainingError


def average_precision(scores: np.ndarray, targets: np.ndarray) -> float | None:
    """Return the average precision of one class.

    Args:
        scores: (N,) numbers, higher for images more likely to hold the class.
        targets: (N,) 0 or 1.

    Returns:
        A share in (0, 1], or None where no image holds the class.

    Raises:
        TrainingError: a score is NaN, so that there is no ranking.
    """
    scores = np.asarray(scores)
    positive = np.asarray(targets) > 0
    if scores.shape != positive.shape or scores.ndim != 1:
        raise ValueError(f"scores {scores.shape} and targets {positive.shape} must be equally long lists")
    if np.isnan(scores).any():
        raise TrainingError("a class score is NaN, so that images cannot be ranked")
    if not positive.any():
        return None
    order = np.argsort(scores, kind="stable")[::-1]
    ranked, hits = scores[order], np.cumsum(positive[order])
    last = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)  # end of each group of equal scores
    precision = hits[last] / (last + 1)
    gained = np.diff(hits[last], prepend=0) / hits[-1]
    return float((gained * precision).sum())


def average_precisions(scores: np.ndarray, targets: np.ndarray) -> tuple[float | None, ...]:
    """Return the average precision per column of (N, K) scores and targets; None for a class of no image."""
    if scores.shape != targets.shape or scores.ndim != 2:
        raise ValueError(f"scores {scores.shape} and targets {targets.shape} must be equal tables")
    return tuple(average_precision(scores[:, k], targets[:, k]) for k in range(scores.shape[1]))


def mean_average_precision(scores: np.ndarray, targets: np.ndarray) -> float | None:
    """Return the mean of the average precisions over the classes that some image holds; None if none does."""
    known = [ap for ap in average_precisions(scores, targets) if ap is not None]
    return float(np.mean(known)) if known else None
