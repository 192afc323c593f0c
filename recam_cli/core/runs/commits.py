"""Files of many items brought to disk in the background, so that no stage waits for the disk.

A write as `files.atomic_file` does it waits twice, for the file and for the folder. Here the stage writes temporary
files and goes on; threads sync each and then rename it, some at a time, and folders are synced once at the end. The
promise is the same: a file appears whole or not at all, and is on disk before its stage is noted as done. What a crash
takes with it are a few of the last items.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from recam_cli.core.runs.files import Pending, commit, deferred, sync_folders

THREADS = 8
_AHEAD = 64


class Commits:
    """A context whose items are on disk when it ends, also where an error or a signal ends it.

    Raises:
        RunError: a file cannot be written; at a later item, or at the end.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="commits")
        self._under_way: deque[Future[None]] = deque()
        self._folders: set[Path] = set()

    def __enter__(self) -> Commits:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True)
        if kind is None:
            self._collect(0)
            sync_folders(self._folders)

    @contextmanager
    def item(self) -> Iterator[None]:
        """Mark a block that writes the files of an item or a few; they appear in the order they were written."""
        with deferred() as pending:
            yield
        self.add(pending)

    def add(self, pending: list[Pending]) -> None:
        """Take over files that were written within `files.deferred`, by this process or another."""
        self._folders.update(one.path.parent for one in pending)
        self._under_way.append(self._pool.submit(commit, pending))
        self._collect(_AHEAD)

    def _collect(self, most: int) -> None:
        """Wait until at most so many are under way, and raise what went wrong with the others."""
        while self._under_way and (len(self._under_way) > most or self._under_way[0].done()):
            self._under_way.popleft().result()
