"""From probabilities of a scaled-down photograph to a mask of its full size."""

from __future__ import annotations

import numpy as np

from recam_cli.core.data.sizes import Size, enlarged_strips, winners


def upscaled_mask(probabilities: np.ndarray, size: Size) -> np.ndarray:
    """Return the most probable value of each pixel after bilinear resizing; ties go to the lower value.

    A strip of rows is resized at a time, so that memory grows neither with the number of classes nor, but for the mask
    itself, with the photograph.

    Args:
        probabilities: float32 (V, h, w).
        size: (H, W) of the mask.

    Returns:
        uint8 (H, W).
    """
    if probabilities.shape[1:] == size:
        return np.asarray(probabilities.argmax(axis=0), dtype=np.uint8)
    mask = np.empty(size, dtype=np.uint8)
    for rows, strip in enlarged_strips(probabilities, size):
        mask[rows] = winners(strip)
    return mask
