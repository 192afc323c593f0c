"""Compiled loops: numba, with what it compiled kept for the next process where a place for it can be written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

_FAST = {"contract", "nsz"}
"""Products may be fused with sums, which changes the last digit; nothing else is loosened."""

Function = TypeVar("Function", bound=Callable[..., Any])


def jit(function: Function) -> Function:
    """Compile a function when it is first called; it runs without Python's lock.

    The result is kept beside the source or in the user's cache folder; where neither can be written, each process
    compiles for itself.
    """
    compile_as: Any = numba.njit
    try:
        compiled: Function = compile_as(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)(function)
    except RuntimeError:  # no place for the cache
        compiled = compile_as(nogil=True, error_model="numpy", fastmath=_FAST)(function)
    return compiled
