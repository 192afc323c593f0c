"""The one reader of a data set's text files: UTF-8, with or without a byte order mark, of bounded size."""

from __future__ import annotations

from pathlib import Path

from recam_cli.core.bounded import read_bounded
from recam_cli.core.errors import DataError

MAX_TEXT_BYTES = 256 << 20
"""Far above any label file in use (a million images take some 50 MB)."""
MAX_LINES = 5_000_000


def read_text(path: Path, what: str) -> str:
    """Return the text of `path`, which messages call `what` ("label file").

    Raises:
        DataError: missing, unreadable, too large, or not UTF-8 (the message names the line).
    """
    try:
        data = read_bounded(path, MAX_TEXT_BYTES)
    except FileNotFoundError:
        raise DataError(f"{path}: no such {what}", remedy="Restore the file or correct the path") from None
    except OSError as error:
        raise DataError(
            f"{path}: cannot read the {what}: {error.strerror}", remedy="Check that it is the right file"
        ) from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}: line {line}: not UTF-8 text", remedy=f"Save the {what} as UTF-8") from None


def read_lines(path: Path, what: str, *, most: int = MAX_LINES) -> list[str]:
    """Return the lines of `path`, at most so many; errors as `read_text`."""
    lines = read_text(path, what).splitlines()
    if len(lines) > most:
        raise DataError(f"{path}: a {what} of more than {most:,} lines", remedy="Check that it is the right file")
    return lines
