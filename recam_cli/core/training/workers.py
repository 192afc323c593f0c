"""Worker processes that make arrays ahead of their use, each over a socket of its own.

torch's `DataLoader` hands tensors over in /dev/shm, of which a container has 64 MB, by a thread whose errors reach
nobody, and tells of a dead worker by an error in the midst of whatever the parent does. Arrays that come over a socket
need no shared memory, take less time, and a socket's end is the end of its worker, noticed where arrays are awaited.
"""

from __future__ import annotations

import multiprocessing
import signal
import socket
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.util import Finalize
from typing import TypeVar

import cv2
import numpy as np
import torch

from recam_cli.core.errors import RecamError, ResourceError
from recam_cli.core.processes import OF_A_TERMINAL, deaf_children, end_of_worker, end_with_parent
from recam_cli.core.resources import told_where

Task = TypeVar("Task")
Arrays = list[np.ndarray]
Make = Callable[[Task], Arrays | RecamError]

_AHEAD = 2
"""What is received before it is asked for; each worker has one more ready to send, or in the making."""
_SECONDS_TO_END = 5.0
_LESS = "Use fewer --workers or a smaller --batch-size"
_BUFFER = 1 << 20
_DEAF_TO = (*OF_A_TERMINAL, signal.SIGTERM)
"""The parent answers for its workers; `timeout` and batch systems send SIGTERM to all processes of a job, too, while
the parent still finishes its step."""


@dataclass(frozen=True)
class _Worker:
    process: BaseProcess
    heads: Connection
    stream: socket.socket

    def receive(self) -> Arrays:
        """Return what the worker made of its next task.

        Raises:
            RecamError: what it made is this error.
            EOFError, OSError: it has ended.
        """
        head = self.heads.recv()
        if isinstance(head, RecamError):
            raise head
        arrays = [np.empty(shape, dtype) for shape, dtype in head]
        for array in arrays:
            view = _bytes_of(array)
            while len(view):
                count = self.stream.recv_into(view)
                if not count:
                    raise EOFError
                view = view[count:]
        return arrays

    def end(self) -> None:
        self.process.kill()
        self.process.join()


def made_ahead(
    make: Make[Task], tasks: Sequence[Task], workers: int, names_of: Callable[[Task], list[str]]
) -> Generator[Arrays, None, None]:
    """Yield what `make` returns for each task, in order, made by `workers` processes; close it to end them.

    Args:
        make: picklable; what it raises it should return, as a `RecamError`.
        tasks: picklable each.
        workers: number of processes, 1 or more.
        names_of: how messages name what a task is about, e.g. by ids of images.

    Raises:
        RecamError: `make` returned it.
        ResourceError: a process cannot be started, or was ended from outside.
    """
    started: list[_Worker] = []
    end = Finalize(None, _end_all, args=(started,), exitpriority=0)  # at exit, too, if this is never closed
    reader = ThreadPoolExecutor(1, thread_name_prefix="reader")
    try:
        with told_where(lambda: "cannot start a worker process"):
            started.extend(_start(make, tasks[first::workers]) for first in range(workers))  # each as it starts
            coming: deque[tuple[int, Future[Arrays]]] = deque()
            for number in range(min(_AHEAD, len(tasks))):
                coming.append((number, reader.submit(started[number % workers].receive)))
        while coming:
            number, future = coming.popleft()
            try:
                arrays = future.result()
            except (EOFError, OSError) as error:
                raise _end_of(started[number % workers], names_of(tasks[number])) from error
            if (later := number + _AHEAD) < len(tasks):
                coming.append((later, reader.submit(started[later % workers].receive)))
            yield arrays
    finally:
        end()
        reader.shutdown(cancel_futures=True)
        for worker in started:
            worker.heads.close()
            worker.stream.close()


def _start(make: Make[Task], tasks: Sequence[Task]) -> _Worker:
    context = multiprocessing.get_context()
    heads, their_heads = context.Pipe(duplex=False)
    stream, their_stream = socket.socketpair()
    their_stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
    process = context.Process(target=_serve, args=(make, tasks, their_heads, their_stream), daemon=True)
    try:
        with deaf_children(_DEAF_TO):
            process.start()
    except BlockingIOError as error:
        raise ResourceError(
            f"cannot start a worker process: {error.strerror}",
            remedy="Use fewer --workers, or allow more processes (ulimit -u)",
        ) from error
    finally:
        their_heads.close()
        their_stream.close()
    return _Worker(process, heads, stream)


def _serve(make: Make[Task], tasks: Sequence[Task], heads: Connection, stream: socket.socket) -> None:
    """Make and send, in a worker process, until all is made, an error is, or the parent went away."""
    _prepare_worker()
    with suppress(OSError):
        for task in tasks:
            made = make(task)
            if isinstance(made, RecamError):
                heads.send(made)
                return
            heads.send([(array.shape, array.dtype.str) for array in made])
            for array in made:
                stream.sendall(_bytes_of(array))


def _prepare_worker() -> None:
    """One thread each, and signals left to the parent, which ends its workers itself."""
    end_with_parent()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    for number in _DEAF_TO:
        signal.signal(number, signal.SIG_IGN)


def _bytes_of(array: np.ndarray) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


def _end_of(worker: _Worker, names: list[str]) -> RecamError:
    worker.process.join(_SECONDS_TO_END)
    return end_of_worker(worker.process.exitcode, names, remedy=_LESS)


def _end_all(workers: list[_Worker]) -> None:
    for worker in workers:
        worker.end()
