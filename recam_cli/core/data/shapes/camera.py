"""The camera: what lies between a scene and its photograph."""

from __future__ import annotations

import cv2
import numpy as np


def develop(rng: np.random.Generator, pixels: np.ndarray) -> np.ndarray:
    """Return the photograph of `pixels`: uneven light, colour cast, exposure, vignette, blur, noise.

    Args:
        rng: draws the camera's settings and noise.
        pixels: float32 (H, W, 3), RGB 0..255.

    Returns:
        uint8 (H, W, 3).
    """
    height, width = pixels.shape[:2]
    rows = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    columns = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    tilt_x, tilt_y = rng.uniform(-0.12, 0.12, 2)
    gain = rng.uniform(0.92, 1.22) * (1 + tilt_x * columns + tilt_y * rows)
    gain = gain * (1 - rng.uniform(0.0, 0.15) * (rows**2 + columns**2))
    cast = 1 + rng.uniform(-0.07, 0.07, 3)
    contrast = rng.uniform(0.85, 1.15)
    gain = (gain * contrast).astype(np.float32)
    picture = pixels * cv2.merge([gain * np.float32(part) for part in cast])
    picture += np.float32(118 * (1 - contrast))  # contrast turns around a middle grey
    if rng.random() < 0.7:
        picture = cv2.GaussianBlur(picture, (0, 0), sigmaX=float(rng.uniform(0.3, 0.75)))
    picture += rng.standard_normal((height, width, 3), dtype=np.float32) * np.float32(rng.uniform(0.5, 3.0))
    return np.asarray(np.clip(picture, 0, 255), dtype=np.uint8)
