"""SIGINT, SIGTERM and SIGHUP as one exception that no `except Exception` swallows."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from recam_cli.core.errors import ExitCode


class Interrupted(BaseException):
    """The user (SIGINT), the system (SIGTERM) or a terminal that closed (SIGHUP) asked the program to end."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = ExitCode(128 + number)


_handled: list[int] = []
_pending: list[int] = []
_polling = 0
_at_work = False


def raise_on_signals(leave: Callable[[ExitCode], None]) -> None:
    """Raise `Interrupted` in the main thread at the first signal; a second one ends the process at once.

    Until work begins, nothing is lost, and modules are imported, which may swallow any exception: `leave` is called
    then, to end the process. Within `polled`, the exception waits for the next `raise_if_signalled`: raised at an
    arbitrary place it could hit a destructor, where Python drops it. A SIGHUP that is ignored (`nohup`) stays so.
    """

    def handle(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        _pending.append(number)
        if not _at_work:
            leave(ExitCode(128 + number))
        if not _polling:
            raise Interrupted(number)

    _handled.extend([signal.SIGINT, signal.SIGTERM])
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        _handled.append(signal.SIGHUP)
    for number in _handled:
        signal.signal(number, handle)


def raise_no_more() -> None:
    """Let signals end the process at once: all is done, and what Python calls at its end drops any exception."""
    while _handled:
        signal.signal(_handled.pop(), signal.SIG_DFL)


def work_begins() -> None:
    """From now on something may be lost or half done: the first signal raises `Interrupted`."""
    global _at_work
    _at_work = True


def raise_if_signalled() -> None:
    """Raise `Interrupted` if a signal has come."""
    if _pending:
        raise Interrupted(_pending[0])


@contextmanager
def polled() -> Iterator[None]:
    """Mark a block that calls `raise_if_signalled` after each step or item."""
    global _polling
    work_begins()
    _polling += 1
    try:
        yield
        raise_if_signalled()
    finally:
        _polling -= 1
