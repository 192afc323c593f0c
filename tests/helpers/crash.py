"""Ends this process (SIGKILL) at a named moment of a write."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from recam_cli.core.runs import commits, files
from recam_cli.core.runs.leftovers import TEMPORARY_SUFFIX

MOMENTS = ("opened", "half", "written", "synced", "replaced", "folder synced")
"""The temporary file is there / holds half of the data / holds all / is on disk / has its name / and that, too, is."""


def arm(moment: str, at: int, number: int = signal.SIGKILL, *, within: str = "") -> None:
    """Let the `at`-th write from here (counted from 1), into a folder named `within`, end the process at `moment`."""
    step, half, before = {
        "opened": ("_open_new", False, False),
        "half": ("_sync_file", True, True),
        "written": ("_sync_file", False, True),
        "synced": ("_sync_file", False, False),
        "replaced": ("_take_place", False, False),
        "folder synced": ("_sync_folder", False, False),
    }[moment]
    commits.THREADS = 1  # writes in order
    original, calls = getattr(files, step), 0

    def counted(*arguments):
        nonlocal calls
        touched = Path(arguments[0] if isinstance(arguments[0], Path) else arguments[0].name)
        meant = not within or within in touched.parts
        calls += meant
        now = meant and calls == at
        if now and half:
            _halve(arguments[0])
        if now and before:
            os.kill(os.getpid(), number)
        result = original(*arguments)
        if now and not before:
            os.kill(os.getpid(), number)
        return result

    setattr(files, step, counted)


def _halve(file):
    """Leave half of what was written: of a temporary file half of all, of a log half of its last line."""
    file.flush()
    size, path = os.fstat(file.fileno()).st_size, Path(file.name)
    last = 0 if path.name.endswith(TEMPORARY_SUFFIX) else path.read_bytes().rfind(b"\n", 0, size - 1) + 1
    os.truncate(file.fileno(), (last + size) // 2)
