"""White sheets that pictures and text are placed on, and their PNG and JPEG bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw

from recam_cli.core.report.text import INK, Font

WHITE = 255
GUTTER = 12
"""Pixels between neighbouring pictures."""


def blank(height: int, width: int) -> np.ndarray:
    """Return a white picture, uint8 (height, width, 3)."""
    return np.full((max(1, height), max(1, width), 3), WHITE, dtype=np.uint8)


def paste(sheet: np.ndarray, picture: np.ndarray, top: int, left: int) -> None:
    """Copy `picture` onto `sheet` at (top, left); it must fit."""
    sheet[top : top + picture.shape[0], left : left + picture.shape[1]] = picture


def write(
    sheet: np.ndarray, text: str, at: tuple[int, int], letters: Font, colour: tuple[int, int, int] = INK
) -> np.ndarray:
    """Return `sheet` with a line of text whose line box begins at `at` = (top, left)."""
    image = Image.fromarray(sheet)
    ImageDraw.Draw(image).text((at[1], at[0]), text, fill=colour, font=letters)
    return np.asarray(image).copy()


def stack(pictures: Sequence[np.ndarray], *, gap: int = GUTTER, margin: int = 0) -> np.ndarray:
    """Return the pictures one below the other, flush left on white, `gap` pixels apart."""
    if not pictures:
        return blank(2 * margin, 2 * margin)
    width = max(p.shape[1] for p in pictures) + 2 * margin
    height = sum(p.shape[0] for p in pictures) + gap * (len(pictures) - 1) + 2 * margin
    sheet = blank(height, width)
    top = margin
    for picture in pictures:
        paste(sheet, picture, top, margin)
        top += picture.shape[0] + gap
    return sheet


def fitted_size(shape: tuple[int, ...], height: int, max_width: int) -> tuple[int, int]:
    """Return (height, width) of a picture scaled into height × max_width, its aspect ratio kept."""
    scale = min(height / max(1, shape[0]), max_width / max(1, shape[1]))
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def scaled(picture: np.ndarray, size: tuple[int, int], *, labels: bool = False) -> np.ndarray:
    """Scale to `size` = (height, width): smoothly, or by the nearest value where the pixels are `labels`."""
    if picture.shape[:2] == size:
        return picture
    if labels:
        method = cv2.INTER_NEAREST
    else:
        method = cv2.INTER_AREA if size[0] < picture.shape[0] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, (size[1], size[0]), interpolation=method))


def png_bytes(picture: np.ndarray) -> bytes:
    """Return a uint8 (H, W, 3) picture as PNG: equal pixels, equal bytes."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(buffer, format="PNG")
    return buffer.getvalue()


def jpeg_bytes(picture: np.ndarray, *, quality: int = 88) -> bytes:
    """Return a uint8 (H, W, 3) picture as JPEG, colours at full resolution so that outlines stay crisp."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(buffer, format="JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()
