"""How stages speak to the user without knowing about terminals.

Stages receive a `Reporter`; the command line passes one that draws bars or prints plain lines to stderr, tests and
library users pass `SilentReporter`.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol


class Progress(Protocol):
    """One bar: `advance` moves it on and updates the figures shown beside it."""

    def advance(self, count: int = 1, **figures: float) -> None:
        """Move on by `count` items; `figures` (e.g. loss=0.31, lr=0.1) replace those shown."""
        ...


class Reporter(Protocol):
    """Where a stage sends its messages and progress."""

    def info(self, message: str) -> None:
        """Tell something a user wants to know (hidden by --quiet)."""
        ...

    def detail(self, message: str) -> None:
        """Tell something only shown with --verbose."""
        ...

    def warn(self, message: str) -> None:
        """Warn; shown even with --quiet."""
        ...

    def track(self, title: str, total: int, unit: str = "image") -> AbstractContextManager[Progress]:
        """Open a bar over `total` items of `unit` ("image", "step"), with rate and ETA."""
        ...


class _SilentProgress:
    def advance(self, count: int = 1, **figures: float) -> None:
        """Do nothing."""


class SilentReporter:
    """A reporter that says nothing but keeps the warnings, for tests and for use as a library."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def info(self, message: str) -> None:
        """Ignore the message."""

    def detail(self, message: str) -> None:
        """Ignore the message."""

    def warn(self, message: str) -> None:
        """Keep the warning in `warnings`."""
        self.warnings.append(message)

    def track(self, title: str, total: int, unit: str = "image") -> AbstractContextManager[Progress]:
        """Return a bar that draws nothing."""
        return nullcontext(_SilentProgress())
