"""Remembered results of the check, so that files which did not change are not decoded again.

One JSON file. A result counts as long as size and modification time of the photograph and the mask are the
same, and the check's own settings too. A damaged file counts as empty; one that is no cache is not to be replaced by
one (`require_cache`).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from recam_cli.core.bounded import read_json, require_plain
from recam_cli.core.data.check_files import FileCheck
from recam_cli.core.data.problems import Problem
from recam_cli.core.errors import RunError, UsageError
from recam_cli.core.runs.files import fingerprint, write_text

CHECK_VERSION = 1
"""Raised when the check changes, so that older results no longer count."""
_MAX_BYTES = 1 << 30
_BEGINNING = re.compile(rb'\s*\{\s*"key"\s*:\s*"[0-9a-f]{16}"\s*,\s*"files"\s*:')
"""Of every cache, of older versions and other settings too, whatever damage follows."""

Stamp = list[int] | None


def require_cache(path: Path) -> None:
    """Pass if a cache may be written to `path`: nothing is there, an empty file, or a cache, whole or damaged.

    Raises:
        UsageError: something else is there, which would be lost, or it cannot be read.
    """
    try:
        empty = require_plain(path) == 0
        with path.open("rb") as file:
            ours = empty or _BEGINNING.match(file.read(256)) is not None
    except FileNotFoundError:
        return
    except OSError as error:
        raise UsageError(f"--cache {path}: {error.strerror}", remedy="Choose another file") from error
    if not ours:
        raise UsageError(
            f"--cache {path} holds something other than remembered results, and would be replaced",
            remedy="Choose another file, or move that one away",
        )


class CheckCache:
    """The results of one data set under one group of settings.

    Args:
        path: the JSON file; None remembers nothing.
        max_pixels: as in `check_files`.
        classes: as in `check_files`.
    """

    def __init__(self, path: Path | None, *, max_pixels: int, classes: int) -> None:
        self._path, self._classes = path, classes
        self._key = fingerprint([CHECK_VERSION, max_pixels, classes])
        self._results = self._load()
        self._changed = False

    def get(self, image: Path, mask: Path | None) -> FileCheck | None:
        """Return the result for the files as they are now, or None."""
        if self._path is None:
            return None
        entry = self._results.get(str(image.absolute()))
        try:
            if not entry or entry["stamps"] != _stamps(image, mask) or entry["mask"] != _name(mask):
                return None
            problems = tuple(map(_problem, entry["problems"]))
            shown = entry["shown"]
            if shown is not None and not all(type(k) is int and 0 <= k < self._classes for k in shown):
                return None
            return FileCheck(problems, None if shown is None else tuple(shown))
        except (KeyError, TypeError, ValueError):
            return None

    def put(self, image: Path, mask: Path | None, result: FileCheck) -> None:
        """Remember a result; that of a file which has vanished is not kept."""
        stamps = _stamps(image, mask)
        if self._path is None or None in stamps:
            return
        self._changed = True
        self._results[str(image.absolute())] = {
            "stamps": stamps,
            "mask": _name(mask),
            "problems": [p.as_dict() for p in result.problems],
            "shown": None if result.shown is None else list(result.shown),
        }

    def save(self) -> str | None:
        """Write the file if anything is new; return why it could not be written, or None."""
        if self._path is None or not self._changed:
            return None
        text = json.dumps({"key": self._key, "files": self._results}, separators=(",", ":"))
        try:
            write_text(self._path, text + "\n")
        except (RunError, OSError) as error:
            return str(error)
        self._changed = False
        return None

    def _load(self) -> dict[str, Any]:
        if self._path is None:
            return {}
        try:
            content = read_json(self._path, _MAX_BYTES)
            files = content["files"] if content["key"] == self._key else {}
            return files if isinstance(files, dict) else {}
        except (OSError, ValueError, KeyError, TypeError):
            return {}


def _problem(noted: dict[str, str]) -> Problem:
    """Return a problem as noted by `Problem.as_dict`.

    Raises:
        KeyError, TypeError, ValueError: it is not one.
    """
    severity = noted["severity"]
    words = [noted[key] for key in ("file", "reason", "remedy")]
    if severity not in ("error", "warning") or not all(isinstance(word, str) for word in words):
        raise ValueError
    return Problem(Path(words[0]), words[1], words[2], "error" if severity == "error" else "warning")


def _stamps(image: Path, mask: Path | None) -> list[Stamp]:
    return [_stamp(image), _stamp(mask) if mask is not None else []]


def _stamp(path: Path) -> Stamp:
    try:
        status = path.stat()
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]


def _name(mask: Path | None) -> str | None:
    return None if mask is None else str(mask.absolute())
