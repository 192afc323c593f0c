"""Sizes of photographs in pixels, and work on large planes strip by strip, so that memory does not grow with them."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

_STRIP = 1 << 20
"""Numbers that a strip of enlarged maps holds at most, if one row allows."""
_BLOCK = 1 << 20
"""Pixels of a block of rows."""

Size = tuple[int, int]
"""(height, width)."""


def size_at(height: int, width: int, side: int) -> Size:
    """Return the size of an image brought to the longer side `side`: each side to the nearest pixel, half up, ≥ 1."""
    longest = max(height, width)
    # In whole numbers: no last digit decides, and an image and its transpose get each other's size.
    scaled = [max(1, (2 * length * side + longest) // (2 * longest)) for length in (height, width)]
    return scaled[0], scaled[1]


def work_size(height: int, width: int, side: int) -> Size:
    """Return the size of a photograph's working copy: as `size_at` where it is longer than `side`, else its own.

    Args:
        height, width: of the upright photograph.
        side: longest side of the copy; 0: no limit.
    """
    if side <= 0 or max(height, width) <= side:
        return height, width
    return size_at(height, width, side)


def row_blocks(height: int, width: int, pixels: int = _BLOCK) -> Iterator[slice]:
    """Yield slices of rows that cover an image of `height`×`width`, about `pixels` pixels each."""
    rows = max(1, pixels // max(1, width))
    for top in range(0, height, rows):
        yield slice(top, min(height, top + rows))


def enlarged_strips(maps: np.ndarray, size: Size, *, numbers: int = _STRIP) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield maps resized bilinearly, pixel centres at the half, a strip of rows at a time.

    Together the strips are what `cv2.resize` with INTER_LINEAR makes of each map, up to the last digits.

    Args:
        maps: float32 (n, h, w); n may be 0.
        size: (H, W) of the whole result.
        numbers: most numbers in a strip, one row at least.

    Yields:
        The rows, and float32 (n, rows, W).
    """
    (height, width), (rows, columns) = size, maps.shape[1:]
    for block in row_blocks(height, width, numbers // max(1, len(maps))):
        if len(maps) == 0:
            yield block, np.zeros((0, block.stop - block.start, width), dtype=np.float32)
            continue
        place = np.clip((np.arange(block.start, block.stop) + 0.5) * (rows / height) - 0.5, 0, rows - 1)
        above = place.astype(np.intp)
        below = np.minimum(above + 1, rows - 1)
        share = (place - above).astype(np.float32)[:, None]
        # Rows here, where they are short; cv2 then widens them, and leaves their number as it is.
        strips = [one[above] + (one[below] - one[above]) * share for one in maps]
        if columns != width:
            strips = [cv2.resize(one, (width, len(one)), interpolation=cv2.INTER_LINEAR) for one in strips]
        yield block, np.stack(strips)


def winners(maps: np.ndarray) -> np.ndarray:
    """Return the index of the first largest map, uint8 (H, W), as `argmax` over axis 0, but faster.

    Args:
        maps: (n, H, W), finite, 1 ≤ n ≤ 256.
    """
    value, winner = maps[0].copy(), np.zeros(maps.shape[1:], dtype=np.uint8)
    for index in range(1, len(maps)):
        np.copyto(winner, np.uint8(index), where=maps[index] > value)
        np.maximum(value, maps[index], out=value)
    return winner


def value_counts(mask: np.ndarray) -> np.ndarray:
    """Return how many pixels of a mask, uint8 (H, W), have each value: int64 (256,)."""
    counts = np.zeros(256, dtype=np.int64)
    for rows in row_blocks(*mask.shape):
        counts += np.bincount(mask[rows].ravel(), minlength=256)
    return counts
