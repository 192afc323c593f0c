"""One process at a time per run directory.

The lock is the operating system's (`flock`), which a process loses when it dies. Where a file system knows no such
locks, a file that names its holder does: process, host, and when the process was started, so that what a dead one left
is told from another one that was given the same number.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TextIO

from recam_cli.core.bounded import read_json, reason_of
from recam_cli.core.errors import RunError
from recam_cli.core.processes import is_alive
from recam_cli.core.signals import work_begins

LOCK_NAME = "run.lock"
HOLDER_NAME = "run.lock.holder"
"""Only where the file system knows no locks."""
_MAX_BYTES = 4096

fcntl: ModuleType | None
try:
    fcntl = import_module("fcntl")
except ImportError:  # Windows
    fcntl = None

_HELD = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)


class Lock:
    """A lock that is held."""

    def __init__(self, folder: Path, file: TextIO) -> None:
        self._folder, self._file = folder, file

    def check(self) -> None:
        """Check that the folder is still the one that was locked.

        Raises:
            RunError: it was removed, moved or replaced meanwhile.
        """
        try:
            here = (self._folder / LOCK_NAME).stat()
        except OSError:
            here = None
        mine = os.fstat(self._file.fileno())
        if here is None or (here.st_dev, here.st_ino) != (mine.st_dev, mine.st_ino):
            raise RunError(
                f"{self._folder} was removed or replaced while this command worked in it",
                remedy="Put it back and run the command again",
            )


@contextmanager
def locked(folder: Path) -> Iterator[Lock]:
    """Hold the folder's lock during the block.

    Raises:
        RunError: another living process holds it, or the folder cannot be written.
    """
    work_begins()
    with _lock_file(folder) as file:
        taken = _flock(file)
        if taken is False:
            raise _busy(folder, LOCK_NAME)
        if taken is None:
            _take_holder_file(folder)
        try:
            _write_note(file)
            yield Lock(folder, file)
        finally:
            if taken is None:
                with suppress(OSError):
                    (folder / HOLDER_NAME).unlink(missing_ok=True)


def in_use(folder: Path) -> bool:
    """Return whether a living process holds the folder's lock, as far as can be told from here."""
    try:
        with (folder / LOCK_NAME).open("r") as file:
            taken = _flock(file)
    except OSError:
        return False
    return not taken if taken is not None else _lives(_note_in(folder / HOLDER_NAME))


def _flock(file: TextIO) -> bool | None:
    """Take the system's lock: True, or False if another process holds it; None where there are no such locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in _HELD else None
    return True


def _take_holder_file(folder: Path) -> None:
    """Make the file that names this process; one of a dead process is replaced.

    Raises:
        RunError: a living process, or one of another host, has made it, or the folder cannot be written.
    """
    path = folder / HOLDER_NAME
    new = folder / f".{HOLDER_NAME}.{secrets.token_hex(4)}"
    old = new.with_name(f"{new.name}.old")
    try:
        new.write_text(json.dumps(_note_of(os.getpid())))
        for _ in range(2):
            try:
                os.link(new, path)  # fails where it exists, in one step
                return
            except FileExistsError:
                if _lives(_note_in(path)):
                    break
                with suppress(FileNotFoundError):
                    path.rename(old)
                if _lives(_note_in(old)):  # another process was as quick as this one
                    os.link(old, path)
                    break
    except OSError as error:
        raise RunError(
            f"{folder} cannot be locked: {error.strerror}", remedy="Choose another --run, on another disk"
        ) from error
    finally:
        for leftover in (new, old):
            leftover.unlink(missing_ok=True)
    raise _busy(folder, HOLDER_NAME)


def _busy(folder: Path, name: str) -> RunError:
    note = _note_in(folder / name)
    if not isinstance(note.get("pid"), int):
        return RunError(f"{folder} is in use by another process", remedy="Wait for it to end, or choose another --run")
    remedy = "Wait for it to end, or choose another --run"
    if name == HOLDER_NAME and note.get("host") != socket.gethostname():
        remedy += f"; if it is dead, delete {folder / name}"
    return RunError(f"{folder} is in use by process {note['pid']} on {str(note.get('host'))[:80]}", remedy=remedy)


def _write_note(file: TextIO) -> None:
    file.seek(0)
    file.truncate()
    file.write(json.dumps(_note_of(os.getpid())))
    file.flush()


def _note_of(process: int) -> dict[str, int | str | None]:
    return {"pid": process, "host": socket.gethostname(), "started": _start_of(process)}


def _note_in(path: Path) -> dict[str, int | str | None]:
    try:
        note = read_json(path, _MAX_BYTES)
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def _lives(note: dict[str, int | str | None]) -> bool:
    """Return whether the process of a note lives; one of another host is taken to, a damaged note is not."""
    process = note.get("pid")
    if not isinstance(process, int) or process <= 0:
        return False
    if note.get("host") != socket.gethostname():
        return True
    return is_alive(process) and note.get("started") == _start_of(process)


def _start_of(process: int) -> str | None:
    """Return when a process was started, in the system's own words; None where that cannot be told."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {fields[19]}"
    except (OSError, IndexError):
        pass
    try:
        found = subprocess.run(["ps", "-o", "lstart=", "-p", str(process)], capture_output=True, text=True, check=False)
        return found.stdout.strip() or None
    except OSError:
        return None


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
