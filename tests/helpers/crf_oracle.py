"""Mean-field inference of the dense CRF written out over all pairs of pixels: O(N²), for tiny images."""

from __future__ import annotations

import numpy as np

from recam_cli.core.masks.crf import CrfParameters


def exact_mean_field(image: np.ndarray, unary: np.ndarray, parameters: CrfParameters) -> np.ndarray:
    """Return probabilities (labels, H, W) for `image` uint8 (H, W, 3) and energies (labels, H, W)."""
    labels, height, width = unary.shape
    rows, columns = np.mgrid[:height, :width]
    places = np.stack([columns.ravel(), rows.ravel()], axis=1).astype(float)
    colours = image.reshape(-1, 3).astype(float)
    smooth = _gaussian(places / parameters.gaussian_sxy)
    alike = _gaussian(
        np.hstack([places / parameters.bilateral_sxy, colours / parameters.bilateral_srgb]),
    )
    kernel = parameters.gaussian_compat * _normalised(smooth)
    kernel += parameters.bilateral_compat * _normalised(alike)
    energies = unary.reshape(labels, -1).astype(float)
    belief = _softmax(-energies)
    for _ in range(parameters.iterations):
        belief = _softmax(-energies + belief @ kernel)
    return belief.reshape(unary.shape)


def _gaussian(features: np.ndarray) -> np.ndarray:
    squares = ((features[:, None] - features[None]) ** 2).sum(axis=-1)
    return np.exp(-squares / 2)


def _normalised(kernel: np.ndarray) -> np.ndarray:
    scale = 1 / np.sqrt(kernel.sum(axis=1))
    return scale[:, None] * kernel * scale[None]


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=0))
    return powers / powers.sum(axis=0)
