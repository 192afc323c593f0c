"""SIGINT and SIGTERM as one exception that no `except Exception` swallows."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from recam_cli.core.errors import ExitCode


class Interrupted(BaseException):
    """The user (SIGINT) or the system (SIGTERM) asked the program to end."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = ExitCode.INTERRUPTED if number == signal.SIGINT else ExitCode.TERMINATED


_pending: list[int] = []
_polling = 0


def raise_on_signals() -> None:
    """Raise `Interrupted` in the main thread at the first signal; a second one ends the process at once.

    Within `polled`, the exception waits for the next `raise_if_signalled`: raised at an arbitrary place it could hit a
    destructor, where Python drops it.
    """

    def handle(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        _pending.append(number)
        if not _polling:
            raise Interrupted(number)

    signal.signal(signal.SIGINT, handle)
    signal.signal(signal.SIGTERM, handle)


def raise_if_signalled() -> None:
    """Raise `Interrupted` if a signal has come."""
    if _pending:
        raise Interrupted(_pending[0])


@contextmanager
def polled() -> Iterator[None]:
    """Mark a block that calls `raise_if_signalled` after each step or item."""
    global _polling
    _polling += 1
    try:
        yield
        raise_if_signalled()
    finally:
        _polling -= 1
