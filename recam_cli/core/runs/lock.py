"""One process at a time per run directory.

The lock is the operating system's (`flock`), so a process that dies releases it; the file only says who holds it.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from recam_cli.core.bounded import read_json, reason_of
from recam_cli.core.errors import RunError

LOCK_NAME = "run.lock"
_MAX_BYTES = 4096

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows
    fcntl = None  # type: ignore[assignment]


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock during the block.

    Raises:
        RunError: another living process holds it, or the folder cannot be written.
    """
    with _lock_file(folder) as file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise RunError(
                    f"{folder} is in use by {_holder(folder)}",
                    remedy="Wait for it to end, or choose another --run",
                ) from None
        file.seek(0)
        file.truncate()
        file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}))
        file.flush()
        yield


def _lock_file(folder: Path) -> TextIO:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return open(folder / LOCK_NAME, "a+", encoding="utf-8", opener=_open_itself)
    except OSError as error:
        raise RunError(
            f"{folder} cannot be written: {reason_of(error)}", remedy="Mend its permissions, or choose another --run"
        ) from error


def _open_itself(path: str, flags: int) -> int:
    """Open the file itself: what a link leads to would be emptied."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


def _holder(folder: Path) -> str:
    try:
        who = read_json(folder / LOCK_NAME, _MAX_BYTES)
        return f"process {int(who['pid'])} on {str(who['host'])[:80]}"
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return "another process"
