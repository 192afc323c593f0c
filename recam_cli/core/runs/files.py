"""The one writer of artifacts: a file appears whole or not at all.

Each write goes to a temporary file in the same folder, which is flushed, synced to disk and then renamed over
the target, so that a reader (or a run resumed after a crash) sees the old file or the new one, never a part.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from recam_cli.core.errors import RunError

TEMPORARY_SUFFIX = ".partial"
_HASH_BLOCK = 1 << 20


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Yield a binary file that becomes `path` when the block ends without an error.

    Raises:
        RunError: the folder cannot be written (full disk, no permission, vanished folder).
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{TEMPORARY_SUFFIX}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
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
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON (NaN refused) to `path`, whole or not at all."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def append_line(path: Path, line: str) -> None:
    """Append one line to a log such as `metrics.jsonl` with a single system call; errors as `atomic_file`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab", buffering=0) as file:
            file.write(line.encode("utf-8", "backslashreplace") + b"\n")
    except OSError as error:
        raise _cannot_write(path, error) from error


def sha256_of(path: Path) -> str:
    """Return the hex SHA-256 of the file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_HASH_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def fingerprint(value: Any) -> str:
    """Return a short, stable hash of a JSON-like value: equal values, equal fingerprints."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:16]


def _cannot_write(path: Path, error: OSError) -> RunError:
    reason = error.strerror or str(error)
    return RunError(f"cannot write {path}: {reason}", remedy="Free space, mend permissions, or choose another folder")


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":  # pragma: no cover - Windows cannot open a folder
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
