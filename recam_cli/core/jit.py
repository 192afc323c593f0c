"""Compiled loops: numba, with what it compiled kept for the next process where a place for it can be written."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import numba

if "NUMBA_SLP_VECTORIZE" not in os.environ:
    # Neighbouring values computed alike, one statement each, are computed at once: the lattice's rows of 4, 8 or 12
    # take half the time or less. numba leaves this out unless asked.
    numba.config.SLP_VECTORIZE = 1

_FAST = {"nsz"}
"""The sign of a zero may be lost; nothing else is loosened. Products are not fused with sums: which of them LLVM would
fuse depends on the loop around them, and the same sums in another loop, or on another machine, should have the same
bits."""

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
