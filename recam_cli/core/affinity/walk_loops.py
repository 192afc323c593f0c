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
    first: int,
    end: int,
    weights: np.ndarray,
    pairs: np.ndarray,
    degrees: np.ndarray,
    scores: np.ndarray,
    target: np.ndarray,
) -> None:
    """Write the rows first..end-1 of scores·T to `target`, those of all images counted through.

    Args:
        first, end: rows, B·H in all.
        weights: float32 (B, O, H, W), a^β of each pair at its first cell.
        pairs: int64 (O, 2), the second cell (dy, dx) seen from the first.
        degrees: float32 (B, H, W).
        scores, target: float32 (B, C, H, W).
    """
    height, width = scores.shape[2:]
    change = np.empty(width, np.float32)
    for row in range(first, end):
        image, y = divmod(row, height)
        for c in range(scores.shape[1]):
            plane = scores[image, c]
            change[:] = 0
            for o in range(len(pairs)):
                dy, dx = pairs[o, 0], pairs[o, 1]
                left, right = max(0, -dx), width - max(0, dx)
                if left >= right:  # the grid is narrower than the offset; a negative end would count from the right
                    continue
                # Each row as the first cells of its pairs, then as the second ones: nothing is written twice.
                if y + dy < height:
                    there = plane[y + dy, left + dx : right + dx]
                    _flow(weights[image, o, y, left:right], there, plane[y, left:right], change[left:right])
                if y - dy >= 0:
                    there, here = plane[y - dy, left:right], plane[y, left + dx : right + dx]
                    _flow(weights[image, o, y - dy, left:right], there, here, change[left + dx : right + dx])
            for x in range(width):
                target[image, c, y, x] = plane[y, x] + change[x] / degrees[image, y, x]
