"""Files and folders as writers that were killed leave them."""

from __future__ import annotations

from pathlib import Path

from recam_cli.core.runs.leftovers import temporary_beside

NO_PROCESS = 999_999_999
"""A number that no process has."""


def left_beside(path: Path, *, process: int = NO_PROCESS, host: str | None = None) -> Path:
    """Return the name that a writer of `path` leaves; of this host, or of another with six hexadecimal digits."""
    before, _, after = temporary_beside(path).name.rpartition("-")
    front, _, here = before.rpartition("-")[0].rpartition(".")
    return path.with_name(f"{front}.{host or here}-{process}-{after}")
