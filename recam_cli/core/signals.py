"""SIGINT and SIGTERM as one exception that no `except Exception` swallows."""

from __future__ import annotations

import signal
from types import FrameType

from recam_cli.core.errors import ExitCode


class Interrupted(BaseException):
    """The user (SIGINT) or the system (SIGTERM) asked the program to end."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = ExitCode.INTERRUPTED if number == signal.SIGINT else ExitCode.TERMINATED


def raise_on_signals() -> None:
    """Raise `Interrupted` in the main thread at the first signal; a second one ends the process at once."""

    def handle(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        raise Interrupted(number)

    signal.signal(signal.SIGINT, handle)
    signal.signal(signal.SIGTERM, handle)
