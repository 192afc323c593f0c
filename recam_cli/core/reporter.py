"""How stages speak to the user without knowing about terminals.

Stages receive a `Reporter`; the command line passes one that draws bars or prints plain lines to stderr, tests and
library users pass `SilentReporter`.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, runtime_checkable


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


class Overall(Protocol):
    """The progress of several stages together."""

    def begin(self, title: str, before: float, seconds: float) -> None:
        """Say that a part begins, e.g. "3/6 make-seeds", expected after `before` seconds and to take `seconds`."""
        ...


@runtime_checkable
class ShowsOverall(Protocol):
    """A reporter that can show stages inside one overall bar."""

    def overall(self, seconds: float) -> AbstractContextManager[Overall]:
        """Open the bar over what is expected to take so many seconds."""
        ...


def overall_of(reporter: Reporter, seconds: float) -> AbstractContextManager[Overall]:
    """Return the reporter's overall bar; where it has none, its messages say which part begins."""
    if isinstance(reporter, ShowsOverall):
        return reporter.overall(seconds)
    return nullcontext(_ToldParts(reporter))


class _ToldParts:
    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter

    def begin(self, title: str, before: float, seconds: float) -> None:
        """Tell the title."""
        self._reporter.info(title)


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
