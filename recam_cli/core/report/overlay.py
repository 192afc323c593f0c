"""Heat maps and masks laid over the photograph."""

from __future__ import annotations

import cv2
import numpy as np

from recam_cli.core.data.palette import PALETTE
from recam_cli.core.data.samples import BACKGROUND, IGNORE
from recam_cli.core.errors import DataError

HEAT_STRENGTH = 0.8
"""Share of the heat colour where the map is high; the rest is photograph."""
HEAT_FADE = (0.05, 0.45)
"""Map values between which the heat colour fades in."""
MASK_STRENGTH = 0.6
_HATCH_PERIOD = 6


def heat_colours(values: np.ndarray) -> np.ndarray:
    """Return the RGB colours of map values in [0, 1], uint8 (H, W, 3); NaN counts as 0."""
    levels = np.round(np.clip(np.nan_to_num(values, posinf=1.0, neginf=0.0), 0.0, 1.0) * 255).astype(np.uint8)
    return np.asarray(cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_TURBO), cv2.COLOR_BGR2RGB))


def heat_overlay(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Lay a class map over its photograph: clear where the map is low, so that the photograph stays visible.

    Args:
        image: uint8 (H, W, 3), RGB.
        heat: float (H, W) in [0, 1]; of another size, it is scaled to the photograph's.

    Returns:
        uint8 (H, W, 3).
    """
    height, width = image.shape[:2]
    values = np.nan_to_num(heat.astype(np.float32), posinf=1.0, neginf=0.0)
    if values.shape != (height, width):
        values = cv2.resize(values, (width, height), interpolation=cv2.INTER_LINEAR)
    low, high = HEAT_FADE
    alpha = HEAT_STRENGTH * np.clip((values - low) / (high - low), 0.0, 1.0)[..., None]
    mixed = image * (1.0 - alpha) + heat_colours(values) * alpha
    return np.asarray(np.round(mixed).astype(np.uint8))


def mask_overlay(image: np.ndarray, mask: np.ndarray, palette: np.ndarray = PALETTE) -> np.ndarray:
    """Lay a mask over its photograph: classes tinted and outlined in white, ignored pixels hatched.

    The photograph is grey below a tint, so that the tint's hue is the legend's whatever lies below.

    Args:
        image: uint8 (H, W, 3), RGB.
        mask: uint8 (H, W): 0 background, k + 1 for class k, 255 ignore.
        palette: uint8 (256, 3), the colour of each mask value.

    Returns:
        uint8 (H, W, 3).

    Raises:
        DataError: image and mask differ in size.
    """
    if mask.shape != image.shape[:2]:
        raise DataError(
            f"a mask of {mask.shape[1]}×{mask.shape[0]} pixels does not fit its image of "
            f"{image.shape[1]}×{image.shape[0]}",
            remedy="Make the mask again from this image",
        )
    classes = (mask != BACKGROUND) & (mask != IGNORE)
    grey = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY).reshape(mask.shape)
    tinted = palette[mask] * MASK_STRENGTH + grey[..., None] * (1.0 - MASK_STRENGTH)
    mixed = np.where(classes[..., None], tinted, image.astype(np.float64))
    mixed = np.where((mask == IGNORE)[..., None], _hatched(grey), mixed)
    mixed[boundaries(mask, line_width(mask.shape))] = 255
    return np.round(mixed).astype(np.uint8)


def mask_picture(mask: np.ndarray, palette: np.ndarray = PALETTE) -> np.ndarray:
    """Return the mask in its palette's colours alone: uint8 (H, W, 3)."""
    return np.asarray(palette[mask])


def line_width(shape: tuple[int, ...]) -> int:
    """Return the width in pixels of an outline in a picture of this (H, W)."""
    return max(1, round(min(shape[:2]) / 220))


def boundaries(mask: np.ndarray, width: int = 1) -> np.ndarray:
    """Return bool (H, W): lines `width` pixels wide where the value changes; none along the rim."""
    edge = np.zeros(mask.shape, dtype=np.uint8)
    edge[:, :-1] |= mask[:, :-1] != mask[:, 1:]
    edge[:-1, :] |= mask[:-1, :] != mask[1:, :]
    if width > 1:
        edge = np.asarray(cv2.dilate(edge, np.ones((width, width), np.uint8)))
    return edge.astype(bool)


def hatch_pattern(shape: tuple[int, int]) -> np.ndarray:
    """Return bool (H, W): diagonal stripes."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return np.asarray((rows + columns) % _HATCH_PERIOD < 2)


def _hatched(grey: np.ndarray) -> np.ndarray:
    faded = grey[..., None] * 0.5 + 110.0
    return np.where(hatch_pattern((grey.shape[0], grey.shape[1]))[..., None], 255.0, faded) * np.ones(3)
