"""Pictures named after photographs: one photograph never overwrites what was made of another."""

from __future__ import annotations

import hashlib
import io
from itertools import count
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from recam_cli.core.bounded import real_path
from recam_cli.core.data.photos import require_short_name
from recam_cli.core.runs.files import write_bytes

_KEY = "recam-photograph"


def write_picture(folder: Path, photo: Path, pixels: np.ndarray) -> Path:
    """Write a picture of `photo` as `<folder>/<stem>.png`, whole or not at all.

    Where a file of that name is not an earlier picture of the same photograph, it becomes `<stem>-2.png`, and so on.
    The picture bears a hash of the photograph's path, not the path itself, to tell.

    Args:
        folder: made if needed.
        photo: the photograph.
        pixels: uint8 (H, W, 3).

    Returns:
        The path written.

    Raises:
        DataError: the photograph's name is too long for that of a picture.
        RunError: the folder cannot be written.
    """
    mark = _mark(photo)
    path = _free_path(folder, photo, mark)
    about = PngInfo()
    about.add_text(_KEY, mark)
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, format="PNG", pnginfo=about)
    write_bytes(path, buffer.getvalue())
    return path


def _free_path(folder: Path, photo: Path, mark: str) -> Path:
    for serial in count(1):
        path = folder / (f"{photo.stem}.png" if serial == 1 else f"{photo.stem}-{serial}.png")
        require_short_name(path, photo)
        if not path.exists() or _mark_in(path) == mark:
            return path
    raise AssertionError


def _mark(photo: Path) -> str:
    return hashlib.sha256(str(real_path(photo)).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _mark_in(path: Path) -> str | None:
    try:
        with Image.open(path, formats=("PNG",)) as image:
            found = image.info.get(_KEY)
    except Exception:  # whatever it is, it is not ours
        return None
    return found if isinstance(found, str) else None
