"""The standard streams made fit for work: none closed, and a stderr that can be lost but never stops it."""

from __future__ import annotations

import io
import os
import sys
from typing import Any


def prepare_streams() -> None:
    """Lead closed streams (`>&-`) to nowhere, else the next file opened has their numbers; let stderr never fail."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8"))  # the lowest free one
    told = sys.__stderr__
    if told is not None and sys.stderr is told:
        raw = io.BufferedWriter(_Losing(told.fileno(), "w", closefd=False))
        sys.stderr = io.TextIOWrapper(raw, told.encoding, "backslashreplace", line_buffering=True)


class _Losing(io.FileIO):
    """A file that loses what cannot be written: to a full disk, a reader or a terminal that went away."""

    def write(self, data: Any, /) -> int:
        """Write, and say that all is written where nothing can be."""
        try:
            count = super().write(data)
        except OSError:
            return len(data)
        return len(data) if count is None else count
