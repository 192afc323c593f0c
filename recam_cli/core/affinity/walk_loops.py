"""The compiled step of the random walk on a CPU; `walk.py` says what it is."""

from __future__ import annotations

import numpy as np

from recam_cli.core.jit import jit


@jit
def _flow(weights: np.ndarray, there: np.ndarray, here: np.ndarray, change: np.ndarray) -> None:
    for x in range(len(change)):
        change[x] += weights[x] * (there[x] - here[x])


@jit
def step(
    weights: np.ndarray,
    pairs: np.ndarray,
    degrees: np.ndarray,
    scores: np.ndarray,
    target: np.ndarray,
    first: int,
    last: int,
) -> None:
    """Write the rows from `first` to before `last` of scores·T to `target`.

    Args:
        weights: float32 (O, H, W), a^β of each pair at its first cell.
        pairs: int64 (O, 2), the second cell (dy, dx) seen from the first.
        degrees: float32 (H, W).
        scores, target: float32 (C, H, W).
    """
    classes, height, width = scores.shape
    change = np.empty(width, np.float32)
    for c in range(classes):
        for y in range(first, last):
            change[:] = 0
            for o in range(len(pairs)):
                dy, dx = pairs[o, 0], pairs[o, 1]
                left, right = max(0, -dx), width - max(0, dx)
                # Each row as the first cells of its pairs, then as the second ones: nothing is written twice.
                if y + dy < height:
                    there = scores[c, y + dy, left + dx : right + dx]
                    _flow(weights[o, y, left:right], there, scores[c, y, left:right], change[left:right])
                if y - dy >= 0:
                    there, here = scores[c, y - dy, left:right], scores[c, y, left + dx : right + dx]
                    _flow(weights[o, y - dy, left:right], there, here, change[left + dx : right + dx])
            for x in range(width):
                target[c, y, x] = scores[c, y, x] + change[x] / degrees[y, x]
