"""The one reader and writer of images and masks.

Photographs come back upright (EXIF orientation applied) as RGB; masks keep their palette indices untouched.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from recam_cli.core.data.limits import MAX_PIXELS
from recam_cli.core.data.palette import PALETTE
from recam_cli.core.errors import DataError
from recam_cli.core.runs.files import atomic_file

PHOTO_FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF")
PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
_ORIENTATION_TAG = 0x0112


def _open(path: Path, formats: tuple[str, ...], max_pixels: int, what: str) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own, lower limit decides
            image = Image.open(path, formats=formats)
    except FileNotFoundError:
        raise DataError(f"{path}: no such {what}", remedy="Restore the file or take its id off the list") from None
    except UnidentifiedImageError:
        raise DataError(
            f"{path}: not a readable {what} ({', '.join(formats)})", remedy="Convert or replace the file"
        ) from None
    except Image.DecompressionBombError:
        raise DataError(
            f"{path}: more than {max_pixels:,} pixels", remedy="Scale the image down, or raise --max-pixels"
        ) from None
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as {what}: {error}", remedy="Replace the file") from error
    width, height = image.size
    if width * height > max_pixels:
        image.close()
        raise DataError(
            f"{path}: {width}×{height} is more than {max_pixels:,} pixels",
            remedy="Scale the image down, or raise --max-pixels",
        )
    return image


def read_image(path: Path, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Read a photograph upright.

    Returns:
        uint8 (H, W, 3), RGB.

    Raises:
        DataError: missing, not an image of the allowed formats, truncated, or larger than `max_pixels`.
    """
    with _open(path, PHOTO_FORMATS, max_pixels, "image") as image:
        try:
            upright = ImageOps.exif_transpose(image)
            if upright.mode.startswith(("I", "F")):
                raise DataError(
                    f"{path}: {upright.mode} pixels of more than 8 bits", remedy="Convert the image to 8-bit RGB"
                )
            return np.asarray(upright.convert("RGB"))
        except (OSError, SyntaxError, ValueError, EOFError) as error:
            raise DataError(f"{path}: truncated or damaged image: {error}", remedy="Replace the file") from error


def read_size(path: Path, *, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """Return (height, width) of the upright photograph without decoding its pixels; errors as `read_image`."""
    with _open(path, PHOTO_FORMATS, max_pixels, "image") as image:
        turned = image.getexif().get(_ORIENTATION_TAG, 1) in (5, 6, 7, 8)
        width, height = image.size
        return (width, height) if turned else (height, width)


def read_mask(path: Path, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Read a mask's indices.

    Returns:
        uint8 (H, W): 0 background, 1..K classes, 255 ignore.

    Raises:
        DataError: missing, truncated, not a palette or grey PNG, or carrying a rotation tag.
    """
    with _open(path, ("PNG",), max_pixels, "mask PNG") as image:
        if image.mode not in ("P", "L"):
            raise DataError(
                f"{path}: mask of mode {image.mode}, but masks hold class ids as palette (P) or grey (L) pixels",
                remedy="Save the mask as an 8-bit index PNG",
            )
        try:
            if image.getexif().get(_ORIENTATION_TAG, 1) != 1:
                raise DataError(f"{path}: mask with an EXIF rotation", remedy="Save the mask upright, without EXIF")
            return np.asarray(image).copy()
        except (OSError, SyntaxError, ValueError, EOFError) as error:
            raise DataError(f"{path}: truncated or damaged mask: {error}", remedy="Replace the file") from error


def write_mask(path: Path, mask: np.ndarray) -> None:
    """Write a uint8 (H, W) mask of class ids as a palette PNG in VOC colours, whole or not at all."""
    image = Image.fromarray(np.ascontiguousarray(mask, dtype=np.uint8)).convert("P")
    image.putpalette(PALETTE.tobytes())
    with atomic_file(path) as file:
        image.save(file, format="PNG")


def write_image(path: Path, pixels: np.ndarray, *, quality: int = 95) -> None:
    """Write uint8 (H, W, 3) RGB pixels as PNG or JPEG (by suffix), whole or not at all."""
    image = Image.fromarray(np.ascontiguousarray(pixels, dtype=np.uint8))
    with atomic_file(path) as file:
        if path.suffix.lower() in (".jpg", ".jpeg"):
            image.save(file, format="JPEG", quality=quality, subsampling=0)
        else:
            image.save(file, format="PNG")
