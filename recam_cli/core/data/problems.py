"""What is wrong with a data set, one problem at a time, and who is told.

A reader meets a problem it can step over (an id without a photograph, an unknown label) and tells it to a
`Tell`. Training passes `raise_errors`, which stops at the first error; `recam check-data` passes a list's
`append`, and so sees them all. Problems that leave nothing to read are raised as DataError in either case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from recam_cli.core.errors import DataError, one_line

_LONGEST_WORD = 100
Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Problem:
    """One fault of a data set.

    Attributes:
        file: the file or folder at fault.
        reason: what is wrong with it, without the file's name.
        remedy: what to do about it.
        severity: "error" where training cannot use the data; "warning" where it can but the user should know.
    """

    file: Path
    reason: str
    remedy: str
    severity: Severity = "error"

    def __str__(self) -> str:
        return one_line(f"{_printable(self.file)}: {self.reason}. {self.remedy}")

    def as_dict(self) -> dict[str, str]:
        """Return the fields as JSON-ready strings."""
        return {
            "file": _printable(self.file),
            "severity": self.severity,
            "reason": self.reason,
            "remedy": self.remedy,
        }

    def as_error(self) -> DataError:
        """Return the problem as the error that stops a command."""
        return DataError(f"{_printable(self.file)}: {self.reason}", remedy=self.remedy)


Tell = Callable[[Problem], None]


def raise_errors(problem: Problem) -> None:
    """Raise an error as DataError; let a warning pass."""
    if problem.severity == "error":
        raise problem.as_error()


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """Return "Did you mean X?" for the closest of `known`, or None if nothing is close."""
    if len(word) > _LONGEST_WORD:  # no name was meant, and comparing takes long
        return None
    by_folded = {name.casefold(): name for name in known}
    close = get_close_matches(word.casefold(), by_folded, n=1)
    return f"Did you mean {by_folded[close[0]]!r}?" if close else None


def some(words: Iterable[str], limit: int = 3) -> str:
    """Return the first few words joined by commas, with an ellipsis if there are more."""
    listed = list(words)
    return ", ".join(listed[:limit]) + (", …" if len(listed) > limit else "")


def _printable(path: Path) -> str:
    return str(path).encode("utf-8", "backslashreplace").decode("utf-8")
