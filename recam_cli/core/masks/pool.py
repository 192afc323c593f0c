"""Runs one function over many items in worker processes of one thread each.

The workers are started anew ("spawn"), not forked: a fork of a process that has used torch may hang. Function
and items reach them as pickles, so the function is a top-level one, a `functools.partial` of one, or an
instance of a top-level class. Results should be small, and what is large be written to disk: a worker killed
in the middle of sending more than a pipe takes at once (4 KB) would leave the parent waiting for the rest.
A worker imports no more than the function's module does.
"""

from __future__ import annotations

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

from recam_cli.core.errors import RecamError
from recam_cli.core.processes import end_with_parent

Item = TypeVar("Item")
Result = TypeVar("Result")

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
_NAMES_SHOWN = 4
_TEXT_KEPT = 1500


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
    executor = ProcessPoolExecutor(workers, mp_context=context, initializer=_prepare_worker)
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
                raise _death(context.exit_code(), names) from error
            item = under_way.pop(future)
            if error is not None:  # the function or the item has no pickle, or the function asked to exit
                raise RecamError(f"{name_of(item)}: {type(error).__name__}: {error}") from error
            receive(item, future.result().unwrap(name_of(item)))


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
            with _child_surroundings():
                future = executor.submit(_attempt, function, item)
        except BrokenProcessPool as error:  # between two items; those under way, if any, carry the error too
            future = Future()
            future.set_exception(error)
        except OSError as error:
            reason = error.strerror or str(error)
            raise RecamError(f"cannot start a worker process: {reason}", remedy="Use fewer --workers") from error
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
        return _Outcome(expected=error)
    except MemoryError:
        return _Outcome(expected=RecamError("not enough memory", remedy="Use fewer --workers"))
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        return _Outcome(unexpected=text[:_TEXT_KEPT], trace=traceback.format_exc()[-_TEXT_KEPT:])


def _named(error: RecamError, name: str) -> RecamError:
    if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", str(error)):
        return error
    return type(error)(f"{name}: {error.message}", remedy=error.remedy)


def _death(exit_code: int | None, names: list[str]) -> RecamError:
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    where = f"while at work on {'one of ' if len(names) > 1 else ''}{', '.join(names[:_NAMES_SHOWN])}{more}"
    if exit_code is not None and exit_code == -getattr(signal, "SIGKILL", 0):
        return RecamError(
            f"a worker process was killed (SIGKILL) {where}: most likely the system ran out of memory",
            remedy="Use fewer --workers, or smaller images; finished items are kept",
        )
    if exit_code is None:
        how = "ended unexpectedly"
    elif exit_code < 0:
        how = f"was ended by signal {_signal_name(-exit_code)}"
    else:
        how = f"ended with exit code {exit_code}"
    return RecamError(f"a worker process {how} {where}", remedy="See what happens with --workers 0")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


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
def _child_surroundings() -> Iterator[None]:
    """Start children with one thread per library and deaf to Ctrl-C, which the parent answers for all of
    them.

    Both must be so before a child's first line of Python: numerical libraries read the variables when loaded,
    and a child interrupted during its imports prints a traceback.
    """
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if os.name == "posix" else None
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        if mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _prepare_worker() -> None:
    end_with_parent()
    import cv2

    cv2.setNumThreads(0)
