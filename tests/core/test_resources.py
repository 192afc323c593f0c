"""What the machine lacks is one line with reason and remedy, exit code 1, whichever library says so."""

from __future__ import annotations

import errno
import os

import pytest
import torch

from recam_cli.core.errors import DataError, ExitCode, ResourceError, RunError
from recam_cli.core.resources import lack_of, told_where

MEMORY = [
    MemoryError(),
    RuntimeError("[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: you tried"),
    RuntimeError("could not create a primitive"),
    RuntimeError("std::bad_alloc"),
    OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)),
    ImportError("libtorch.so: failed to map segment from shared object"),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
]


@pytest.mark.parametrize("error", MEMORY, ids=lambda error: str(error)[:20])
def test_a_lack_of_memory_says_where_and_what_to_make_smaller(error):
    told = lack_of(error, "train-cls")
    assert told is not None
    assert str(told).startswith("train-cls: not enough memory")
    assert "--batch-size" in str(told) and "--crop" in str(told)
    assert told.exit_code == ExitCode.UNEXPECTED
    assert "on the GPU" in str(told) or not isinstance(error, torch.OutOfMemoryError)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.EMFILE, "Too many open files", "a.png"), "too many open files.*ulimit -n"),
        (RuntimeError("can't start new thread"), "threads.*ulimit -u"),
    ],
)
def test_other_lacks_have_remedies_of_their_own(error, words):
    with pytest.raises(ResourceError, match=words):
        raise lack_of(error)


def test_an_expected_error_keeps_its_words_but_not_its_exit_code_where_a_lack_is_behind_it():
    error = RunError("run/masks/a.png cannot be written: Too many open files", remedy="Free space")
    error.__cause__ = OSError(errno.EMFILE, "Too many open files")
    told = lack_of(error)
    assert told is not None
    assert str(told).startswith(f"{error.message}. Use fewer --workers")
    assert told.exit_code == ExitCode.UNEXPECTED


@pytest.mark.parametrize(
    "error",
    [
        DataError("a.png: damaged"),
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("a fault"),
        ValueError("out of memory cards"),
    ],
)
def test_other_errors_are_no_lack(error):
    assert lack_of(error) is None
    with pytest.raises(type(error)), told_where(lambda: "here"):
        raise error
