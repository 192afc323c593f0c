"""What the two kernels of the dense CRF compare pixels by."""

from __future__ import annotations

import numpy as np


def position_features(height: int, width: int, sxy: float) -> np.ndarray:
    """Return float32 (H·W, 2): x and y of each pixel in units of `sxy`."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return np.stack([x.ravel(), y.ravel()], axis=1) / np.float32(sxy)


def appearance_features(image: np.ndarray, sxy: float, srgb: float) -> np.ndarray:
    """Return float32 (H·W, 5): position in units of `sxy` and colour in units of `srgb`, of `image` uint8 (H, W, 3)."""
    colours = image.reshape(-1, 3).astype(np.float32) / np.float32(srgb)
    return np.concatenate([position_features(image.shape[0], image.shape[1], sxy), colours], axis=1)
