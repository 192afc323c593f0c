"""From probabilities of a scaled-down photograph to a mask of its full size."""

from __future__ import annotations

import cv2
import numpy as np


def upscaled_mask(probabilities: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the most probable value of each pixel after bilinear resizing; ties go to the lower value.

    One value's plane is resized at a time, so that memory does not grow with the number of classes.

    Args:
        probabilities: float32 (V, h, w).
        size: (H, W) of the mask.

    Returns:
        uint8 (H, W).
    """
    height, width = size
    if probabilities.shape[1:] == (height, width):
        return np.asarray(probabilities.argmax(axis=0), dtype=np.uint8)
    mask = np.zeros((height, width), dtype=np.uint8)
    best = np.full((height, width), -1.0, dtype=np.float32)
    for value, plane in enumerate(probabilities):
        grown = cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR)
        better = grown > best
        mask[better] = value
        best[better] = grown[better]
    return mask
