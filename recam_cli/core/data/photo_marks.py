"""What tells photographs apart and copies together: a stamp of each, and a hash where two files are of one size.

Decoding all photographs for it takes a time, and every stage needs it, so marks are remembered in a JSON file, by
size and modification time of the photograph as in core/data/check_cache.py. With or without that file the marks are
the same; where it cannot be written, or is something else, they are simply made anew.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recam_cli.core.bounded import read_json
from recam_cli.core.data.images import read_thumbnail
from recam_cli.core.errors import DataError, RunError
from recam_cli.core.runs.files import sha256_of_all, write_text
from recam_cli.core.runs.leftovers import sweep

MARKS_NAME = ".recam-photos.json"
"""Name of the file beside the photographs; hidden ones are no part of a data set."""
SIDE = 32
COLOUR_SIDE = 8
_VERSION = 1
"""Raised when marks change, so that older ones no longer count."""
_MAX_BYTES = 1 << 30
_THREADS = 4
"""Few, since a photograph that is no JPEG is decoded whole: each may be 300 MB large."""
_CHUNK = 1000
"""Photographs after which the file is written, so that a first reading that is cut short was not for nothing."""
_GREY_BYTES, _COLOUR_BYTES = SIDE * SIDE, COLOUR_SIDE * COLOUR_SIDE * 3
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)

Stamp = tuple[int, int]


@dataclass(frozen=True)
class Mark:
    """What a photograph looks like from afar.

    Attributes:
        grey: uint8 (32, 32), luminance; None where the photograph cannot be decoded.
        colour: uint8 (8, 8, 3), RGB; None likewise.
        sha256: of the file, "" unless another file has its size.
    """

    grey: np.ndarray | None
    colour: np.ndarray | None
    sha256: str = ""


class MarkFile:
    """The remembered marks of a folder of photographs, and the groups made of them.

    Args:
        path: the JSON file; None remembers nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._writable, content = _load(path)
        files, groups = content.get("files"), content.get("groups")
        self._files: dict[str, Any] = files if isinstance(files, dict) else {}
        self._groups: dict[str, Any] = groups if isinstance(groups, dict) else {}
        self._changed = False

    def key(self, photo: Path) -> str:
        """Return the photograph's name in the file, relative to its folder, so that both can be moved together."""
        if self._path is None:
            return str(photo)
        with suppress(ValueError):
            return photo.relative_to(self._path.parent).as_posix()
        return str(photo.absolute())

    def get(self, photo: Path, stamp: Stamp) -> tuple[bytes | None, str]:
        """Return what is known of the photograph as it is now: the bytes of its stamp or None, its SHA-256 or ""."""
        entry = self._files.get(self.key(photo))
        if not isinstance(entry, list) or len(entry) != 4 or entry[:2] != list(stamp):
            return None, ""
        seen, digest = entry[2:]
        try:
            pixels = base64.b64decode(seen, validate=True)
        except (TypeError, ValueError):
            return None, ""
        fits = len(pixels) == _GREY_BYTES + _COLOUR_BYTES
        return pixels if fits else None, digest if isinstance(digest, str) and len(digest) in (0, 64) else ""

    def put(self, photo: Path, stamp: Stamp, pixels: bytes, digest: str) -> None:
        """Remember a photograph."""
        self._files[self.key(photo)] = [*stamp, base64.b64encode(pixels).decode("ascii"), digest]
        self._changed = True

    def groups(self, made_of: str) -> list[list[str]] | None:
        """Return the groups that were made of the same photographs, or None."""
        found = self._groups.get("groups") if self._groups.get("of") == made_of else None
        if not isinstance(found, list) or not all(isinstance(g, list) for g in found):
            return None
        return found if all(isinstance(i, str) for g in found for i in g) else None

    def put_groups(self, made_of: str, groups: list[list[str]]) -> None:
        """Remember the groups of two and more."""
        self._groups = {"of": made_of, "groups": groups}
        self._changed = True

    def keep_only(self, photos: Iterable[Path]) -> None:
        """Forget all photographs but these."""
        keys = {self.key(photo) for photo in photos}
        gone = [key for key in self._files if key not in keys]
        for key in gone:
            del self._files[key]
        self._changed |= bool(gone)

    def save(self) -> None:
        """Write the file if anything is new and it can be written."""
        if self._path is None or not self._writable or not self._changed:
            return
        content = {"recam": _VERSION, "files": self._files, "groups": self._groups}
        try:
            write_text(self._path, json.dumps(content, separators=(",", ":")) + "\n")
            sweep(self._path.parent, below=False)
        except (RunError, OSError):  # a read-only folder: the same is found again next time
            self._writable = False
        self._changed = False


def read_marks(photos: Sequence[Path], known: MarkFile) -> list[Mark]:
    """Return the mark of each photograph; one that cannot be read has neither stamp nor hash.

    Args:
        photos: files.
        known: remembered marks; new ones are added to it and saved.

    Raises:
        ResourceError: there is not enough memory.
    """
    stamps = [stamp_of(photo) for photo in photos]
    pixels = _pixels(photos, stamps, known)
    digests = _digests(photos, stamps, known)
    for photo, stamp, seen, digest in zip(photos, stamps, pixels, digests, strict=True):
        if stamp is not None and seen is not None and digest and known.get(photo, stamp)[1] != digest:
            known.put(photo, stamp, seen, digest)
    known.save()
    return [_mark(seen, digest) for seen, digest in zip(pixels, digests, strict=True)]


def made_of(names: Sequence[str], photos: Sequence[Path]) -> str:
    """Return a hash of names and of the photographs' sizes and times of modification."""
    rows = [[name, stamp_of(photo)] for name, photo in zip(names, photos, strict=True)]
    return hashlib.sha256(json.dumps([_VERSION, rows]).encode("ascii")).hexdigest()


def stamp_of(photo: Path) -> Stamp | None:
    """Return size and time of modification in ns, or None where there is nothing to read."""
    try:
        status = photo.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def _pixels(photos: Sequence[Path], stamps: Sequence[Stamp | None], known: MarkFile) -> list[bytes | None]:
    found = [known.get(p, s)[0] if s is not None else None for p, s in zip(photos, stamps, strict=True)]
    fresh = [i for i, seen in enumerate(found) if seen is None and stamps[i] is not None]
    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
        for begin in range(0, len(fresh), _CHUNK):
            part = fresh[begin : begin + _CHUNK]
            for i, seen in zip(part, pool.map(_seen, [photos[i] for i in part]), strict=True):
                found[i], stamp = seen, stamps[i]
                if seen is not None and stamp is not None:
                    known.put(photos[i], stamp, seen, "")
            known.save()
    return found


def _seen(photo: Path) -> bytes | None:
    try:
        stamp = read_thumbnail(photo, SIDE)
    except DataError:  # `check-data` tells of it
        return None
    step = SIDE // COLOUR_SIDE
    colour = stamp.reshape(COLOUR_SIDE, step, COLOUR_SIDE, step, 3).mean((1, 3))
    parts = (np.rint(part).astype(np.uint8).tobytes() for part in (stamp @ _LUMA, colour))
    return b"".join(parts)


def _digests(photos: Sequence[Path], stamps: Sequence[Stamp | None], known: MarkFile) -> list[str]:
    sizes = Counter(stamp[0] for stamp in stamps if stamp is not None)
    digests = [""] * len(photos)
    alike = [i for i, stamp in enumerate(stamps) if stamp is not None and sizes[stamp[0]] > 1]
    for i in alike:
        stamp = stamps[i]
        digests[i] = known.get(photos[i], stamp)[1] if stamp is not None else ""
    fresh = [i for i in alike if not digests[i]]
    for i, digest in zip(fresh, sha256_of_all(photos[i] for i in fresh), strict=True):
        digests[i] = digest
    return digests


def _mark(pixels: bytes | None, digest: str) -> Mark:
    if pixels is None:
        return Mark(None, None, digest)
    seen = np.frombuffer(pixels, dtype=np.uint8)
    colour = seen[_GREY_BYTES:].reshape(COLOUR_SIDE, COLOUR_SIDE, 3)
    return Mark(seen[:_GREY_BYTES].reshape(SIDE, SIDE), colour, digest)


def _load(path: Path | None) -> tuple[bool, Mapping[str, Any]]:
    """Return whether the file may be written (it is ours, damaged beyond telling, or not there) and its content."""
    if path is None:
        return False, {}
    try:
        content = read_json(path, _MAX_BYTES)
    except FileNotFoundError:
        return not os.path.islink(path), {}  # noqa: PTH114 - a link that leads nowhere is somebody's
    except OSError:
        return False, {}
    except ValueError:
        return True, {}
    if not isinstance(content, dict) or "recam" not in content:
        return False, {}
    return True, content if content["recam"] == _VERSION else {}
