"""What the machine may lack, told as one error: memory, open files, threads and processes."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from recam_cli.core.errors import RecamError, ResourceError

_MEMORY = "not enough memory"
_LESS = "Use a smaller --batch-size or --crop, fewer --workers, or smaller images"
_LESS_ON_GPU = "Use a smaller --batch-size or --crop, smaller images, or --device cpu"
_FILES = "Use fewer --workers, or allow more open files (ulimit -n)"
_PROCESSES = "Use fewer --workers, or allow more processes and memory (ulimit -u, -v)"

_OF_MEMORY = (
    "can't allocate memory",  # torch's allocator
    "not enough memory",  # the same on Windows
    "could not create a primitive",  # oneDNN
    "could not create a memory",
    "bad_alloc",
    "bad allocation",
    "insufficient memory",  # OpenCV
    "cannot allocate memory",  # a library that is loaded
    "failed to map segment",
    "out of memory",
)
_OF_GPU = ("cuda out of memory", "cuda error: out of memory", "mps backend out of memory", "_alloc_failed")


def lack_of(error: BaseException, where: str = "", *, less: str = _LESS) -> ResourceError | None:
    """Return what to tell of an error that says what the machine lacks, None of any other.

    An expected error that was raised because of such a one, say of a file that could not be opened, keeps its words.

    Args:
        error: as caught.
        where: what was being done, e.g. "train-cls, in epoch 3, at images a, b".
        less: the remedy of a lack of memory.
    """
    if isinstance(error, ResourceError):
        return error
    if isinstance(error, RecamError):
        cause = lack_of(error.__cause__) if error.__cause__ is not None else None
        return None if cause is None else ResourceError(error.message, remedy=cause.remedy)
    found = _reason_and_remedy(error, less)
    if found is None:
        return None
    reason, remedy = found
    return ResourceError(f"{where}: {reason}" if where else reason, remedy=remedy)


@contextmanager
def told_where(where: Callable[[], str]) -> Iterator[None]:
    """Tell what the machine lacks within the block with the words of `where()`.

    Raises:
        ResourceError: in place of an error that `lack_of` knows.
    """
    try:
        yield
    except Exception as error:
        if (lack := lack_of(error, where())) is None or lack is error:
            raise
        raise lack from error


def _reason_and_remedy(error: BaseException, less: str) -> tuple[str, str] | None:
    if isinstance(error, MemoryError):
        return _MEMORY, less
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        return "too many open files", _FILES
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return _MEMORY, less
    # torch, OpenCV and the system's loader have classes of their own, and say in words which failure it is.
    if isinstance(error, RuntimeError | ImportError) or type(error).__module__.startswith("cv2"):
        text = str(error).lower()
        if any(words in text for words in _OF_GPU):
            return f"{_MEMORY} on the GPU", _LESS_ON_GPU
        if any(words in text for words in _OF_MEMORY) or type(error).__name__ == "OutOfMemoryError":
            return _MEMORY, less
        if "can't start new thread" in text:
            return "no more threads can be started", _PROCESSES
    return None
