"""Names of files that are being written, and what writers that were killed left."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import socket
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

from recam_cli.core.processes import is_alive

TEMPORARY_SUFFIX = ".partial"
FOREIGN_SECONDS = 24 * 3600
"""A process of another host cannot be asked after; what it has not touched for a day is taken to be left."""
_NAME = re.compile(rf"\..*\.([0-9a-f]{{6}})-(\d+)-[0-9a-f]{{8}}{re.escape(TEMPORARY_SUFFIX)}", re.DOTALL)
_KEPT_BYTES = 64
"""Of a name, in that of its temporary file: whatever name a folder takes, it takes that, too."""


def temporary_beside(path: Path) -> Path:
    """Return a new name in the folder of `path`, which says who writes there: host, process, and a random part."""
    begins = os.fsencode(path.name)[:_KEPT_BYTES].decode("utf-8", "ignore")  # no half of a character
    return path.with_name(f".{begins}.{_host()}-{os.getpid()}-{secrets.token_hex(4)}{TEMPORARY_SUFFIX}")


def is_leftover(name: str) -> bool:
    """Return whether a file or folder of this name is what a writer that was killed leaves."""
    return name.endswith(TEMPORARY_SUFFIX) and _NAME.fullmatch(name) is not None


def sweep(folder: Path, *, below: bool = True) -> None:
    """Delete what writers that were killed left in `folder` and, if `below`, deeper; those that live keep their own."""
    for place, folders, names in os.walk(folder):
        for name in filter(is_leftover, (*names, *folders)):
            path = Path(place) / name
            if _is_abandoned(path):
                _delete(path)
        folders[:] = [name for name in folders if below and not is_leftover(name)]


def _delete(path: Path) -> None:
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _is_abandoned(path: Path) -> bool:
    found = _NAME.fullmatch(path.name)
    assert found is not None
    if found[1] == _host():
        return not is_alive(int(found[2]))
    try:
        return time.time() - path.lstat().st_mtime > FOREIGN_SECONDS
    except OSError:
        return False


@cache
def _host() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:6]
