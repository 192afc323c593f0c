"""Files that nobody vouches for, read within bounds: plain files only, of bounded size; JSON of bounded depth."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

MAX_JSON_BYTES = 64 << 20
"""Far above any JSON that recam writes."""
MAX_DEPTH = 64
"""Lists and objects within one another; recam writes fewer than ten."""


def require_plain(path: Path) -> int:
    """Return the size in bytes of a plain file, or of one that a link leads to.

    To open anything else may block for good (a pipe without a writer) or never end (a device).

    Raises:
        OSError: missing, a folder, or another special file; `strerror` says which.
    """
    try:
        status = os.stat(path)  # noqa: PTH116 - its error says what the path leads to
    except ValueError:  # a zero byte
        raise OSError(errno.EINVAL, "not a file name", str(path)) from None
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "a pipe, device or socket, not a plain file", str(path))
    return status.st_size


def real_path(path: Path) -> Path:
    """Return the absolute path that links lead to; of links that lead in a circle, as far as they lead."""
    return Path(os.path.realpath(path))  # `Path.resolve` fails on them


def is_there(path: Path) -> bool:
    """Return whether a folder has an entry of that name, be it a link that leads nowhere: its reader says so.

    To take a file for absent because it cannot be read would choose other classes or labels in silence.
    """
    return os.path.lexists(path)


def read_bounded(path: Path, limit: int = MAX_JSON_BYTES) -> bytes:
    """Return the content of a plain file of at most `limit` bytes.

    Raises:
        OSError: as `require_plain`, it cannot be read, or is larger.
    """
    size = require_plain(path)
    if size <= limit:
        with path.open("rb") as file:
            data = file.read(size + 1)  # it may be growing
        if len(data) <= limit:
            return data
    raise OSError(errno.EFBIG, f"more than {limit >> 20} MB" if limit >> 20 else f"more than {limit >> 10} kB")


def parse_json(text: str | bytes, hook: Callable[[dict[str, Any]], Any] | None = None) -> Any:
    """Return the value of a JSON text; `hook` replaces each object as soon as it is read, the inner ones first.

    Raises:
        ValueError: not JSON, not UTF-8, or nested more than `MAX_DEPTH` deep: what reads it, recurses.
    """
    try:
        value = json.loads(text, object_hook=hook)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(MAX_DEPTH + 1):
        if not level:
            return value
        parts = (part for outer in level for part in (outer.values() if isinstance(outer, dict) else outer))
        level = [part for part in parts if isinstance(part, dict | list)]
    raise ValueError("nested too deeply")


def read_json(path: Path, limit: int = MAX_JSON_BYTES, hook: Callable[[dict[str, Any]], Any] | None = None) -> Any:
    """Return the value of a JSON file; `hook` as in `parse_json`.

    Raises:
        OSError: as `read_bounded`.
        ValueError: as `parse_json`.
    """
    return parse_json(read_bounded(path, limit).decode("utf-8"), hook)


def reason_of(error: BaseException) -> str:
    """Return why in one line, whatever the error says of itself: nothing at all, or several lines."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return next(iter(str(error).splitlines()), "") or type(error).__name__
