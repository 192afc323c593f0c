"""The memory of a command with all its processes, watched from outside (Linux)."""

from __future__ import annotations

import threading
from pathlib import Path


def tree_rss(pid):
    """Return the bytes of a process and its descendants; a page counts for each of them.

    So it does not seem to grow where one writes to pages that it shared with the process it was forked from.
    """
    return tree_pss(pid, "Rss:")


def tree_pss(pid, kind="Pss:"):
    """Return the bytes of a process and its descendants; pages that several share count once."""
    total, todo = 0, [pid]
    while todo:
        process = Path(f"/proc/{todo.pop()}")
        try:
            rollup = (process / "smaps_rollup").read_text()
            total += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith(kind)) * 1024
            for children in process.glob("task/*/children"):
                todo += map(int, children.read_text().split())
        except (OSError, StopIteration):  # it has ended meanwhile
            continue
    return total


class MemoryWatch:
    """Samples `tree_pss` twice a second while the context lasts.

    Attributes:
        peak: the largest sample so far, in bytes.
    """

    def __init__(self, pid):
        self.peak = 0
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _watch(self):
        while not self._over.wait(0.5):
            self.peak = max(self.peak, tree_pss(self._pid))
