"""The one reader and writer of images and masks.

Photographs come back upright (EXIF orientation applied) as RGB; masks keep their palette indices untouched.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from recam_cli.core.bounded import reason_of, require_plain
from recam_cli.core.data.limits import MAX_PIXELS
from recam_cli.core.data.palette import PALETTE
from recam_cli.core.errors import DataError, ResourceError
from recam_cli.core.resources import lack_of
from recam_cli.core.runs.files import atomic_file

# Once for the process, as `catch_warnings` is not safe among threads: on large images our own limit decides,
# and odd metadata harm no pixel.
warnings.filterwarnings("ignore", module=r"PIL\.")

PHOTO_FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF")
PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
_SCAN, _MOST_SCANS = b"\xff\xda", 100
_MOST_PAGES = 100
_BLOCK = 1 << 20
_ORIENTATION_TAG = 0x0112
_NOTE = "recam"
"""Keyword of the PNG's text chunk."""
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class PhotoKind:
    """What a photograph's header says: `format` ("JPEG", "PNG", …) and the number of `frames` or pages.

    Of a TIFF at most 100 pages are counted.
    """

    format: str
    frames: int


def read_image(path: Path, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Read a photograph upright; transparency is dropped, and of several frames the first is taken.

    Returns:
        uint8 (H, W, 3), RGB.

    Raises:
        DataError: missing, not an image of the allowed formats, truncated, of more than 8 bits per channel,
            or larger than `max_pixels`.
        ResourceError: there is not enough memory.
    """
    with _open(path, PHOTO_FORMATS, max_pixels, "image") as image, _decoding(path, "image"):
        _require_few_scans(image, path)
        image.load()
        if image.mode.startswith(("I", "F")):
            raise DataError(
                f"{path}: {image.mode} pixels of more than 8 bits",
                remedy="Convert the image to 8-bit RGB",
            )
        # Only after load(): Pillow itself turns TIFF pixels while loading, and then drops the tag.
        turn = _TURNS.get(_orientation(image))
        rgb = image.convert("RGB")
        return np.array(rgb.transpose(turn) if turn is not None else rgb)


def read_size(path: Path, *, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """Return (height, width) of the upright photograph from its header; errors as `read_image`."""
    with _open(path, PHOTO_FORMATS, max_pixels, "image") as image:
        width, height = image.size
        # Pillow reports a TIFF's size already turned.
        turned = image.format != "TIFF" and _orientation(image) in (5, 6, 7, 8)
        return (width, height) if turned else (height, width)


def read_thumbnail(path: Path, side: int, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Read a photograph upright at the size of a stamp, a JPEG by decoding only what that needs.

    Returns:
        uint8 (side, side, 3), RGB: the means of as many parts of equal size, whatever the photograph's shape.

    Raises:
        DataError, ResourceError: as `read_image`; what a reduced JPEG does not show of its damage is not told.
    """
    with _open(path, PHOTO_FORMATS, max_pixels, "image") as image, _decoding(path, "image"):
        _require_few_scans(image, path)
        image.draft("RGB", (4 * side, 4 * side))
        image.load()
        if image.mode.startswith(("I", "F")):
            raise DataError(
                f"{path}: {image.mode} pixels of more than 8 bits",
                remedy="Convert the image to 8-bit RGB",
            )
        turn = _TURNS.get(_orientation(image))
        small = image.convert("RGB").resize((side, side), Image.Resampling.BOX)
        return np.array(small.transpose(turn) if turn is not None else small)


def read_kind(path: Path, *, max_pixels: int = MAX_PIXELS) -> PhotoKind:
    """Return a photograph's true format and number of frames from its header; errors as `read_image`."""
    with _open(path, PHOTO_FORMATS, max_pixels, "image") as image, _decoding(path, "image"):
        if image.format == "MPO":  # a JPEG with a preview or depth map behind it, as many phones write
            return PhotoKind("JPEG", 1)
        return PhotoKind(str(image.format), _frames(image))


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
                f"{path}: mask of mode {image.mode}; class ids need palette (P) or grey (L) pixels",
                remedy="Save the mask as an 8-bit index PNG",
            )
        with _decoding(path, "mask"):
            image.load()
            if _orientation(image) != 1:
                raise DataError(f"{path}: mask with an EXIF rotation", remedy="Save the mask upright, without EXIF")
            return np.array(image)


def read_grey(path: Path, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Read an 8-bit greyscale PNG, as `write_grey` writes it: uint8 (H, W).

    Raises:
        DataError: missing, truncated, or of other pixels.
    """
    with _open(path, ("PNG",), max_pixels, "greyscale PNG") as image, _decoding(path, "greyscale PNG"):
        if image.mode != "L":
            raise DataError(f"{path}: pixels of mode {image.mode}, not 8-bit grey", remedy="Restore the file")
        image.load()
        return np.array(image)


def _open(path: Path, formats: tuple[str, ...], max_pixels: int, what: str) -> Image.Image:
    if Image.MAX_IMAGE_PIXELS is not None and max_pixels > 2 * Image.MAX_IMAGE_PIXELS:
        Image.MAX_IMAGE_PIXELS = max_pixels  # the user asked for images above Pillow's own bound
    try:
        require_plain(path)
        image = Image.open(path, formats=formats)
    except FileNotFoundError:
        raise DataError(f"{path}: no such {what}", remedy="Restore the file or correct its path") from None
    except IsADirectoryError:
        raise DataError(f"{path}: a folder, no {what}", remedy="Name the files in it") from None
    except UnidentifiedImageError:
        raise DataError(
            f"{path}: not a readable {what} ({', '.join(formats)})", remedy="Convert or replace the file"
        ) from None
    except Image.DecompressionBombError:
        raise DataError(
            f"{path}: more than {max_pixels:,} pixels", remedy="Scale the image down, or raise --max-pixels"
        ) from None
    except Exception as error:  # Pillow's format readers raise nearly anything on damaged headers
        raise _lack(error, path) or DataError(
            f"{path}: cannot be read as {what}: {reason_of(error)}", remedy="Replace the file"
        ) from error
    width, height = image.size
    if width * height > max_pixels:
        image.close()
        raise DataError(
            f"{path}: {width}×{height} is more than {max_pixels:,} pixels",
            remedy="Scale the image down, or raise --max-pixels",
        )
    return image


def _require_few_scans(image: Image.Image, path: Path) -> None:
    """Refuse a progressive JPEG of endless scans: each is some bytes in the file and a pass over all pixels."""
    if not image.info.get("progressive"):
        return
    scans, before = 0, b""
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            scans += (before + block).count(_SCAN)
            before = block[-1:]
    if scans > _MOST_SCANS:
        raise DataError(f"{path}: {scans} scans of one image", remedy="Convert the image")


def _frames(image: Image.Image) -> int:
    """Return the number of frames or pages; Pillow takes a time for a TIFF's that grows with the square of it."""
    if image.format != "TIFF":
        return int(getattr(image, "n_frames", 1))
    pages = 1
    try:
        while pages < _MOST_PAGES:
            image.seek(pages)
            pages += 1
    except EOFError:
        pass
    return pages


@contextmanager
def _decoding(path: Path, what: str) -> Iterator[None]:
    """Turn whatever Pillow raises while decoding into one DataError."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        raise _lack(error, path) or DataError(
            f"{path}: truncated or damaged {what}: {reason_of(error)}", remedy="Replace the file"
        ) from error


def _lack(error: Exception, path: Path) -> ResourceError | None:
    return lack_of(error, str(path), less="Use fewer --workers, or scale the image down")


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation 1..8; 1 where there is none or the EXIF block is damaged."""
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # a broken EXIF block says nothing about the pixels
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def write_mask(path: Path, mask: np.ndarray, *, note: str = "") -> None:
    """Write a uint8 (H, W) mask of class ids as a palette PNG in VOC colours, whole or not at all.

    Args:
        path: of the file.
        mask: its indices.
        note: says what the mask was made from; kept in the file, for `read_note`.
    """
    image = Image.fromarray(np.ascontiguousarray(mask, dtype=np.uint8)).convert("P")
    image.putpalette(PALETTE.tobytes())
    about = PngInfo()
    if note:
        about.add_text(_NOTE, note)
    with atomic_file(path) as file:
        image.save(file, format="PNG", pnginfo=about)


def read_note(path: Path, *, max_pixels: int = MAX_PIXELS) -> str:
    """Return the note of a mask that `write_mask` wrote, "" where it has none; errors as `read_mask`."""
    with _open(path, ("PNG",), max_pixels, "mask PNG") as image:
        return str(image.info.get(_NOTE, ""))


def write_grey(path: Path, pixels: np.ndarray) -> None:
    """Write uint8 (H, W) pixels as a greyscale PNG, whole or not at all."""
    image = Image.fromarray(np.ascontiguousarray(pixels, dtype=np.uint8))
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
