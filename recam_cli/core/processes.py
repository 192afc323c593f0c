"""Processes: what a worker owes its parent, and whether one lives."""

from __future__ import annotations

import os
import sys
import threading
from multiprocessing import connection, parent_process


def end_with_parent() -> None:
    """Let this worker end when its parent does, however that ends; call it when the worker starts.

    A parent that is killed cannot tell its workers, and one that waits for work would wait for ever.
    """
    threading.Thread(target=_wait_for_the_end, daemon=True, name="end with parent").start()


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
