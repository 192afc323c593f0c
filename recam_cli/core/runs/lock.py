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

from recam_cli.core.errors import RunError

LOCK_NAME = "run.lock"

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
        return (folder / LOCK_NAME).open("a+")
    except OSError as error:
        raise RunError(
            f"{folder} cannot be written: {error.strerror}", remedy="Mend its permissions, or choose another --run"
        ) from error


def _holder(folder: Path) -> str:
    try:
        who = json.loads((folder / LOCK_NAME).read_text())
        return f"process {who['pid']} on {who['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
