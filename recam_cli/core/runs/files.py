"""The one writer of artifacts: a file appears whole or not at all.

Each write goes to a temporary file in the same folder, which is flushed, synced to disk and then renamed over
the target, so that a reader (or a run resumed after a crash) sees the old file or the new one, never a part.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from recam_cli.core.bounded import require_plain
from recam_cli.core.errors import RunError
from recam_cli.core.runs.leftovers import temporary_beside
from recam_cli.core.signals import work_begins

_HASH_BLOCK = 1 << 20
_LOG_BLOCK = 1 << 16
_READERS = 8


class Pending(NamedTuple):
    """A file that was written whole under the name `temporary` and is to become `path`."""

    temporary: Path
    path: Path


_deferred: ContextVar[list[Pending] | None] = ContextVar("deferred", default=None)


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Yield a binary file that becomes `path` when the block ends without an error.

    A crash between any two of the steps leaves the old file or the new one, and at most a leftover that
    `leftovers.sweep` takes away.

    Raises:
        RunError: the folder cannot be written (full disk, no permission, vanished folder).
    """
    work_begins()
    temporary = temporary_beside(path)
    later = _deferred.get()
    try:
        _make_folder(path.parent)
        with _open_new(temporary) as file:
            yield file
            if later is None:
                _sync_file(file)
        if later is not None:
            later.append(Pending(temporary, path))
            return
        _take_place(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        if later is None or not later or later[-1].temporary != temporary:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


@contextmanager
def deferred() -> Iterator[list[Pending]]:
    """Let files written within the block wait for `commit`; yields the list that they come into, in order.

    Where the block ends with an error, they are deleted.
    """
    pending: list[Pending] = []
    token = _deferred.set(pending)
    try:
        yield pending
    except BaseException:
        _discard(pending)
        raise
    finally:
        _deferred.reset(token)


def commit(pending: list[Pending]) -> None:
    """Bring files to disk and let each take its place, in order; the folders are left to `sync_folders`.

    Raises:
        RunError: one cannot be written; it and those after it do not appear.
    """
    for number, (temporary, path) in enumerate(pending):
        try:
            with temporary.open("r+b") as file:
                _sync_file(file)
            _take_place(temporary, path)
        except OSError as error:
            _discard(pending[number:])
            raise _cannot_write(path, error) from error


def sync_folders(folders: Iterable[Path]) -> None:
    """Bring the names of files in `folders` to disk; errors as `atomic_file`."""
    for folder in folders:
        try:
            _sync_folder(folder)
        except OSError as error:
            raise _cannot_write(folder, error) from error


def _discard(pending: list[Pending]) -> None:
    for temporary, _ in pending:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all."""
    with atomic_file(path) as file:
        file.write(data)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 `text` to `path`, whole or not at all.

    What UTF-8 cannot hold, as a file name of other bytes, is written as `\\udcff`, which JSON reads back as it was.
    """
    write_bytes(path, text_bytes(text))


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON (NaN refused) to `path`, whole or not at all."""
    write_bytes(path, json_bytes(value))


def text_bytes(text: str) -> bytes:
    """Return what `write_text` writes."""
    return text.encode("utf-8", "backslashreplace")


def json_bytes(value: Any) -> bytes:
    """Return what `write_json` writes."""
    return text_bytes(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def append_line(path: Path, line: str) -> None:
    """Append one line to a log such as `metrics.jsonl`, whole or not at all; errors as `atomic_file`.

    A last line without its end, as a power cut leaves it, never counted and is taken away.
    """
    data = line.encode("utf-8", "backslashreplace") + b"\n"
    try:
        _make_folder(path.parent)
        with path.open("a+b", buffering=0) as file:
            size = _whole_lines(file)
            file.truncate(size)
            if file.write(data) != len(data):  # the disk became full
                file.truncate(size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            _sync_file(file)
    except OSError as error:
        raise _cannot_write(path, error) from error


def sha256_of(path: Path) -> str:
    """Return the hex SHA-256 of the file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_HASH_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def sha256_of_all(paths: Iterable[Path]) -> list[str]:
    """Return the hashes of many files, read by several threads (some 1 GB/s); "" for one that cannot be read.

    Whoever reads that one next tells what is wrong with it.
    """
    with ThreadPoolExecutor(_READERS) as pool:
        return list(pool.map(_sha256_or_nothing, paths))


def fingerprint(value: Any) -> str:
    """Return a short, stable hash of a JSON-like value: equal values, equal fingerprints."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:16]


def _sha256_or_nothing(path: Path) -> str:
    try:
        require_plain(path)
        return sha256_of(path)
    except OSError:
        return ""


def _cannot_write(path: Path, error: OSError) -> RunError:
    reason = error.strerror or str(error)
    remedy = "Free space, mend permissions, or choose another folder"
    if error.errno == errno.ENAMETOOLONG:
        remedy = "Choose a shorter name"
    return RunError(f"cannot write {path}: {reason}", remedy=remedy)


# The steps of a write, by name; the tests end the process before, within and after each.


def _make_folder(folder: Path) -> None:
    """Make `folder` and what lies above it; each new one is synced into the one above."""
    missing = []
    while not folder.is_dir() and folder != folder.parent:
        missing.append(folder)
        folder = folder.parent
    for new in reversed(missing):
        new.mkdir(exist_ok=True)
        _sync_folder(new.parent)


def _open_new(path: Path) -> BinaryIO:
    return path.open("xb")


def _sync_file(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _take_place(temporary: Path, path: Path) -> None:
    temporary.replace(path)


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":  # pragma: no cover - Windows cannot open a folder
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _whole_lines(file: BinaryIO) -> int:
    """Return the size of a file up to the end of its last whole line."""
    size = file.seek(0, os.SEEK_END)
    while size:
        begin = max(0, size - _LOG_BLOCK)
        file.seek(begin)
        end = file.read(size - begin).rfind(b"\n")
        if end >= 0:
            return begin + end + 1
        size = begin
    return 0
