"""How many cores there are to work on, and loops that threads share: compiled ones, which let go of Python's lock."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

_pools: dict[int, ThreadPoolExecutor] = {}


def available_cores() -> int:
    """Return how many cores this process is given."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def usable_threads() -> int:
    """Return how many threads this process may use: the cores it is given, or OMP_NUM_THREADS where that is set."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    cores = available_cores()
    return max(1, min(cores, int(wanted))) if wanted.isdigit() else cores


def shared(threads: int, count: int, smallest: int, loop: Callable[..., Any], *arguments: Any) -> None:
    """Call `loop(first, end, *arguments)` on the parts of range(count), one per thread, none below `smallest`."""
    parts = max(1, min(threads, count // smallest))
    if parts == 1:
        loop(0, count, *arguments)
        return
    edges = [count * i // parts for i in range(parts + 1)]
    rest = [_pool(threads).submit(loop, edges[i], edges[i + 1], *arguments) for i in range(1, parts)]
    loop(edges[0], edges[1], *arguments)
    for future in rest:
        future.result()


def _pool(threads: int) -> ThreadPoolExecutor:
    if threads not in _pools:
        _pools[threads] = ThreadPoolExecutor(threads - 1, thread_name_prefix="recam")
    return _pools[threads]
