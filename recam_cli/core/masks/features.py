"""What the two kernels of the dense CRF compare pixels by."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


def position_features(height: int, width: int, sxy: float) -> np.ndarray:
    """Return float32 (H·W, 2): x and y of each pixel in units of `sxy`."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return np.stack([x.ravel(), y.ravel()], axis=1) / np.float32(sxy)


def appearance_features(image: np.ndarray, sxy: float, srgb: float) -> np.ndarray:
    """Return float32 (H·W, 5): position in units of `sxy` and colour in units of `srgb`, of `image` uint8 (H, W, 3)."""
    colours = image.reshape(-1, 3).astype(np.float32) / np.float32(srgb)
    return np.concatenate([position_features(image.shape[0], image.shape[1], sxy), colours], axis=1)


def weighted_features(
    image: np.ndarray, gaussian: tuple[float, float], bilateral: tuple[float, float, float]
) -> Iterator[tuple[np.ndarray, float]]:
    """Yield the features and the weight of each kernel of `image` uint8 (H, W, 3) that has one.

    Args:
        image: the photograph.
        gaussian: (sxy, weight) of the smoothness kernel.
        bilateral: (sxy, srgb, weight) of the appearance kernel.
    """
    if gaussian[1] > 0:
        yield position_features(image.shape[0], image.shape[1], gaussian[0]), gaussian[1]
    if bilateral[2] > 0:
        yield appearance_features(image, *bilateral[:2]), bilateral[2]
