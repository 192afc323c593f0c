"""Runs one function over many items in worker processes of one thread each.

The workers are started anew ("spawn"), not forked: a fork of a process that has used torch may hang. Function
and items reach them as pickles, so the function is a top-level one, a `functools.partial` of one, or an
instance of a top-level class. Results should be small, and what is large be written to disk: a worker killed
in the middle of sending more than a pipe takes at once (4 KB) would leave the parent waiting for the rest.
A worker imports no more than the function's module does.
"""

from __future__ import annotations

import errno
import os
import re
import signal
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any, Generic, TypeVar

from recam_cli.core.errors import RecamError, ResourceError
from recam_cli.core.processes import OF_A_TERMINAL, deaf_children, end_of_worker, end_with_parent
from recam_cli.core.resources import lack_of
from recam_cli.core.signals import raise_if_signalled

Item = TypeVar("Item")
Result = TypeVar("Result")

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
_TEXT_KEPT = 1500
_LESS = "Use fewer --workers, or smaller images; finished items are kept"
_NO_SHARED_MEMORY = (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOSYS)
_SHARED_MEMORY = "Use --workers 0, or a larger /dev/shm that can be written (docker: --shm-size)"


class WorkerFailureError(Exception):
    """The traceback of an unexpected error in a worker, as text; the cause of the error in the parent."""


def run_over(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    receive: Callable[[Item, Result], None],
    *,
    workers: int,
    name_of: Callable[[Item], str] = str,
) -> None:
    """Call `function` on each item and `receive(item, result)` here, in order of completion.

    At most one item per worker is under way, and `items` is drawn from as workers become free, so memory does
    not grow with the number of items. The first failure ends the work: no worker outlives this call, nor this
    process.

    Args:
        function: picklable; with `workers` 0 it is called in this process and need not be.
        items: picklable each.
        receive: called in this process, one result at a time.
        workers: number of processes.
        name_of: how messages name an item, e.g. its id.

    Raises:
        RecamError: `function` raised it (the same subclass, naming the item), or raised anything else (a
            plain `RecamError` naming item and cause), or a worker was ended from outside.
    """
    if workers == 0:
        for item in items:
            outcome = _attempt(function, item)
            receive(item, outcome.unwrap(name_of(item)))
        return
    context = _RecordingContext()
    try:
        executor = ProcessPoolExecutor(workers, mp_context=context, initializer=_prepare_worker)
    except OSError as error:
        raise _cannot_start(error) from error
    try:
        _stream(executor, context, function, items, receive, workers, name_of)
    except BaseException:
        # Also on Ctrl-C: an item under way may take minutes, and files are written whole or not at all.
        context.kill()
        raise
    finally:
        executor.shutdown(cancel_futures=True)


def _stream(
    executor: ProcessPoolExecutor,
    context: _RecordingContext,
    function: Callable[[Item], Result],
    items: Iterable[Item],
    receive: Callable[[Item, Result], None],
    workers: int,
    name_of: Callable[[Item], str],
) -> None:
    rest = iter(items)
    under_way: dict[Future[_Outcome[Result]], Item] = {}
    while _fill(executor, function, rest, under_way, workers):
        done, _ = wait(under_way, return_when=FIRST_COMPLETED)
        for future in sorted(done, key=lambda f: f.exception() is not None):  # what is finished counts first
            error = future.exception()
            if isinstance(error, BrokenProcessPool):
                executor.shutdown()  # ends the other workers; exit codes are certain only after it
                names = [name_of(item) for item in under_way.values()]
                raise_if_signalled()  # where all processes of a job were told to end
                raise end_of_worker(context.exit_code(), names, remedy=_LESS) from error
            item = under_way.pop(future)
            if error is not None:  # the function or the item has no pickle, or the function asked to exit
                raise RecamError(f"{name_of(item)}: {type(error).__name__}: {error}") from error
            receive(item, future.result().unwrap(name_of(item)))


def _cannot_start(error: OSError) -> ResourceError:
    """Return what to tell where a process, or one of the locks that it shares with its parent, cannot be made."""
    reason = f"cannot start a worker process: {error.strerror or error}"
    if error.errno in _NO_SHARED_MEMORY:
        return ResourceError(f"{reason} (/dev/shm)", remedy=_SHARED_MEMORY)
    return lack_of(error, "starting a worker process", less=_LESS) or ResourceError(
        reason, remedy="Use fewer --workers"
    )


def _fill(
    executor: ProcessPoolExecutor,
    function: Callable[[Item], Result],
    rest: Iterator[Item],
    under_way: dict[Future[_Outcome[Result]], Item],
    workers: int,
) -> bool:
    """Hand out items until each worker has one; return whether any is under way."""
    while len(under_way) < workers:
        try:
            item = next(rest)
        except StopIteration:
            break
        try:
            with deaf_children(OF_A_TERMINAL), _one_thread_each():
                future = executor.submit(_attempt, function, item)
        except BrokenProcessPool as error:  # between two items; those under way, if any, carry the error too
            future = Future()
            future.set_exception(error)
        except OSError as error:
            raise _cannot_start(error) from error
        under_way[future] = item
    return bool(under_way)


@dataclass(frozen=True)
class _Outcome(Generic[Result]):
    """What a call came to, in a form that always survives the way between processes."""

    result: Result | None = None
    expected: RecamError | None = None
    unexpected: str = ""
    trace: str = ""

    def unwrap(self, name: str) -> Result:
        if self.expected is not None:
            raise _named(self.expected, name)
        if self.unexpected:
            raise RecamError(f"{name}: {self.unexpected}") from WorkerFailureError(self.trace)
        return self.result  # type: ignore[return-value]


def _attempt(function: Callable[[Item], Result], item: Item) -> _Outcome[Result]:
    try:
        return _Outcome(function(item))
    except RecamError as error:
        return _Outcome(expected=lack_of(error) or error)  # its cause does not travel
    except Exception as error:
        if (lack := lack_of(error, less=_LESS)) is not None:
            return _Outcome(expected=lack)
        text = f"{type(error).__name__}: {error}"
        return _Outcome(unexpected=text[:_TEXT_KEPT], trace=traceback.format_exc()[-_TEXT_KEPT:])


def _named(error: RecamError, name: str) -> RecamError:
    if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", str(error)):
        return error
    return type(error)(f"{name}: {error.message}", remedy=error.remedy)


class _RecordingContext(SpawnContext):
    """The "spawn" context that keeps the processes it starts, so that their exit codes can be asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.started: list[SpawnProcess] = []

    def Process(self, *args: Any, **kwargs: Any) -> SpawnProcess:  # type: ignore[override]  # noqa: N802
        """Create a process as the context does."""
        process = SpawnProcess(*args, **kwargs)
        self.started.append(process)
        return process

    def exit_code(self) -> int | None:
        """Return the exit code of the worker that failed first, None if none has.

        The executor ends the others with SIGTERM then, so that code counts only if there is no other.
        """
        codes = [code for process in self.started if process.pid and (code := process.exitcode)]
        return next((code for code in codes if code != -signal.SIGTERM), codes[0] if codes else None)

    def kill(self) -> None:
        """End all processes at once."""
        for process in self.started:
            if process.pid:
                process.kill()


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Start children with one thread per library: numerical libraries read the variables when loaded."""
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _prepare_worker() -> None:
    end_with_parent()
    import cv2

    cv2.setNumThreads(0)
