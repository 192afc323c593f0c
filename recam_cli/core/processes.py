"""Processes: what a worker owes its parent, how one ended, and whether one lives."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import connection, parent_process

from recam_cli.core.errors import ResourceError

_NAMES_SHOWN = 4
OF_A_TERMINAL = tuple(getattr(signal, name) for name in ("SIGINT", "SIGHUP") if hasattr(signal, name))
"""Signals that a terminal sends to all its processes: Ctrl-C, and that it closes."""


def end_with_parent() -> None:
    """Let this worker end when its parent does, however that ends; call it when the worker starts.

    A parent that is killed cannot tell its workers, and one that waits for work would wait for ever.
    """
    threading.Thread(target=_wait_for_the_end, daemon=True, name="end with parent").start()


@contextmanager
def deaf_children(signals: Sequence[signal.Signals]) -> Iterator[None]:
    """Start children deaf to `signals`, which the parent answers for all of them.

    They must be so before their first line of Python: one interrupted during its imports prints a traceback.
    """
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signals) if os.name == "posix" else None
    try:
        yield
    finally:
        if mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def end_of_worker(exit_code: int | None, names: Sequence[str], *, remedy: str) -> ResourceError:
    """Return what to tell of a worker process that ended in the midst of its work.

    Args:
        exit_code: as of `multiprocessing.Process`; None where it is not known.
        names: what it, or one of its like, was at work on, by name.
        remedy: of a lack of memory.
    """
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    where = f"while at work on {'one of ' if len(names) > 1 else ''}{', '.join(names[:_NAMES_SHOWN])}{more}"
    if exit_code is not None and exit_code == -getattr(signal, "SIGKILL", 0):
        return ResourceError(
            f"a worker process was killed (SIGKILL) {where}: most likely the system ran out of memory",
            remedy=remedy,
        )
    if exit_code is None:
        how = "ended unexpectedly"
    elif exit_code < 0:
        how = f"was ended by signal {_signal_name(-exit_code)}"
    else:
        how = f"ended with exit code {exit_code}"
    return ResourceError(f"a worker process {how} {where}", remedy="See what happens with --workers 0")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def is_alive(process: int) -> bool:
    """Return whether a process of that number lives on this host."""
    if sys.platform == "win32":  # pragma: no cover - there, signal 0 is Ctrl-C
        return _has_handle(process)
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # another user's
        return True
    return True


def _has_handle(process: int) -> bool:  # pragma: no cover - Windows
    import ctypes

    kernel, query, still_active = ctypes.windll.kernel32, 0x1000, 259  # type: ignore[attr-defined]
    handle = kernel.OpenProcess(query, False, process) if process < 1 << 32 else 0
    if not handle:
        return False
    code = ctypes.c_ulong()
    kernel.GetExitCodeProcess(handle, ctypes.byref(code))
    kernel.CloseHandle(handle)
    return code.value == still_active


def _wait_for_the_end() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
