"""The errors users meet, each with the exit code it ends the program with.

Every message is one line that names what is wrong, why, and what to do about it.
"""

from __future__ import annotations

import re
from enum import IntEnum

from recam_cli.core.printable import printable


class ExitCode(IntEnum):
    """The exit codes of every command: a contract with shell scripts."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    BAD_DATA = 3
    BAD_RUN = 4
    CHECK_FAILED = 5
    HUNG_UP = 129
    INTERRUPTED = 130
    TERMINATED = 143


_LONGEST = 1200
"""Characters of a message; what a file says of itself may be longer, and is shortened in its middle."""


def one_line(text: str) -> str:
    """Return the text as one line that a terminal shows as it is: blanks joined, control characters escaped."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST * 2 // 3]} … {line[-_LONGEST // 3 :]}"


class RecamError(Exception):
    """Base of all expected errors; `str(error)` is the line shown to the user."""

    exit_code: ExitCode = ExitCode.UNEXPECTED

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        """Join `message` and `remedy` ("what to do now") into one line."""
        self.message = one_line(message)
        self.remedy = one_line(remedy) if remedy else None
        super().__init__(self.message if not self.remedy else f"{self.message}. {self.remedy}")


class UsageError(RecamError):
    """An option, config key or combination of them that cannot work (exit 2)."""

    exit_code = ExitCode.USAGE


class MissingExtraError(UsageError):
    """An option needs a library that is an extra of recam and not installed (exit 2)."""


def without_repeatable_form(error: Exception) -> UsageError | None:
    """Return what to tell where torch refuses an operation under --deterministic, None where `error` is another."""
    found = re.match(r"(\S+) does not have a deterministic implementation", str(error))
    if not isinstance(error, RuntimeError) or found is None:
        return None
    return UsageError(
        f"--deterministic: {found[1]} has no form that gives the same bits each time on this device",
        remedy="Leave --deterministic out, or add --device cpu",
    )


class DataError(RecamError):
    """A data set, image, mask, label or weights file that cannot be used (exit 3)."""

    exit_code = ExitCode.BAD_DATA


class RunError(RecamError):
    """A run directory that is missing, busy, incomplete, changed since its stages or of other settings (exit 4).

    So is a file that differs from the hash in its run's manifest; one that differs from its own hash only is a
    `DataError`, as it may come from anywhere.
    """

    exit_code = ExitCode.BAD_RUN


class CheckError(RecamError):
    """A check the user asked for did not pass (exit 5)."""

    exit_code = ExitCode.CHECK_FAILED


class NotFiniteError(RecamError):
    """A computed number is NaN or infinite, so that what would be made of it means nothing (exit 5)."""

    exit_code = ExitCode.CHECK_FAILED


class ResourceError(RecamError):
    """The machine lacks memory, processes or open files, so that work that is right cannot be done (exit 1)."""


class TrainingError(RecamError):
    """Training cannot go on, e.g. the loss became NaN (exit 5: its sanity check failed)."""

    exit_code = ExitCode.CHECK_FAILED
