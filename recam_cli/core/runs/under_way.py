"""The stage that this process began last, for the line that says how to go on after an interruption."""

from __future__ import annotations

from pathlib import Path

_begun: list[tuple[Path, str]] = []


def note_begun(run: Path, stage: str) -> None:
    """Note that this process has begun a stage in a run."""
    _begun[:] = [(run, stage)]


def begun_last() -> tuple[Path, str] | None:
    """Return the run and the stage, or None where none was begun."""
    return _begun[0] if _begun else None
