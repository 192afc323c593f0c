"""Photographs named on a command line: found, read ahead, and scaled down where they are large."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recam_cli.core.bounded import real_path
from recam_cli.core.data.images import PHOTO_SUFFIXES, read_image
from recam_cli.core.data.transforms import resized
from recam_cli.core.errors import DataError, RecamError

_MAX_NAME_BYTES = 255
"""Of a file, on all file systems in use."""


@dataclass(frozen=True)
class Photo:
    """One photograph.

    Attributes:
        path: as named, or below the folder named.
        name: what files made of it are called, without suffix; with its sub-folders below a folder named.
    """

    path: Path
    name: Path


@dataclass(frozen=True)
class Failure:
    """A photograph that could not be used, and why."""

    path: Path
    reason: str

    def as_dict(self) -> dict[str, str]:
        """Return it JSON-ready."""
        return {"image": str(self.path), "error": self.reason}


def find_photos(places: Sequence[Path], *, recursive: bool, leave_out: Path | None = None) -> list[Photo]:
    """Return the photographs of files and folders, each once, folders in the order of their names.

    A folder gives its files that end as photographs do and whose names begin with no dot; a file named itself is
    taken whatever its name.

    Args:
        places: files and folders.
        recursive: whether sub-folders count.
        leave_out: a folder whose files do not count, e.g. the one that results go to.

    Raises:
        DataError: a place does not exist, or a folder holds no photograph.
    """
    photos: dict[Path, Photo] = {}
    for place in places:
        if place.is_dir():
            found = _photos_below(place, recursive, leave_out)
            if not found:
                where = "in it or below it" if recursive else "in it (sub-folders count with --recursive)"
                raise DataError(f"{place}: no photograph {where}", remedy=f"Known are {', '.join(PHOTO_SUFFIXES)}")
        elif place.exists():
            found = [Photo(place, Path(place.stem))]
        else:
            raise DataError(f"{place}: no such file or folder", remedy="Correct the path")
        for photo in found:
            photos.setdefault(photo.path.absolute(), photo)
    return list(photos.values())


def _photos_below(folder: Path, recursive: bool, leave_out: Path | None) -> list[Photo]:
    apart = real_path(leave_out) if leave_out is not None else None
    found = []
    for parent, folders, files in os.walk(folder):
        here = Path(parent)
        folders[:] = sorted(d for d in folders if not d.startswith(".") and real_path(here / d) != apart)
        if not recursive:
            folders.clear()
        for name in sorted(files):
            path = here / name
            if path.suffix.lower() in PHOTO_SUFFIXES and not name.startswith("."):
                found.append(Photo(path, path.relative_to(folder).with_suffix("")))
    return found


def read_ahead(
    paths: Sequence[Path], *, max_pixels: int, workers: int, longest: int = 0
) -> Iterator[tuple[Path, np.ndarray | RecamError]]:
    """Yield each path with its photograph, uint8 (H, W, 3), or with the error that reading it gave, in order.

    Args:
        paths: files.
        max_pixels: largest accepted photograph.
        workers: threads that read ahead; with 0 reading waits for the consumer.
        longest: read larger photographs at this longer side, as `read_image`; 0: at their own size.
    """

    def load(path: Path) -> np.ndarray | RecamError:
        try:
            return read_image(path, max_pixels=max_pixels, longest=longest)
        except RecamError as error:
            return error

    if workers == 0:
        yield from ((path, load(path)) for path in paths)
        return
    # One photograph ahead per thread, and few threads: each may be 300 MB large while it is read.
    threads = min(workers, 4)
    with ThreadPoolExecutor(threads) as pool:
        ahead: deque[tuple[Path, Future[np.ndarray | RecamError]]] = deque()
        for path in paths:
            ahead.append((path, pool.submit(load, path)))
            if len(ahead) > threads:
                first, future = ahead.popleft()
                yield first, future.result()
        for path, future in ahead:
            yield path, future.result()


def require_short_name(path: Path, photo: Path) -> None:
    """Pass if a file made of `photo` may have the name of `path`.

    Raises:
        DataError: it is too long.
    """
    if len(os.fsencode(path.name)) > _MAX_NAME_BYTES:
        raise DataError(
            f"{photo}: its name is too long: {path.name} would have more than {_MAX_NAME_BYTES} bytes",
            remedy="Rename the photograph",
        )


def fitted(image: np.ndarray, long_side: int) -> np.ndarray:
    """Return uint8 (H, W, 3) scaled down so that no side is longer than `long_side`; smaller ones as they are."""
    height, width = image.shape[:2]
    scale = long_side / max(height, width)
    if scale >= 1:
        return image
    return resized(image, (max(1, round(height * scale)), max(1, round(width * scale))))
