"""What the pool's tests let worker processes do; light imports only, as each worker reads this module."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from recam_cli.core.errors import DataError


def double(number: int) -> int:
    return 2 * number


def surroundings(_: str) -> dict[str, object]:
    import cv2

    return {
        "pid": os.getpid(),
        "omp": os.environ.get("OMP_NUM_THREADS"),
        "cv2": cv2.getNumThreads(),
        "torch": "torch" in sys.modules,
    }


def refuse_bad(item: str) -> str:
    if item == "bad":
        raise DataError("the file is torn", remedy="Replace it")
    return item


def divide_by_zero(item: str) -> float:
    return len(item) / 0


def run_out_of_memory(item: str) -> None:
    raise MemoryError


def die(how: str) -> str:
    if how == "sleeper":
        time.sleep(60)
    if how == "exit":
        os._exit(7)
    if how == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    return how


def sleep_unless_quick(item: str) -> int:
    if item != "quick":
        time.sleep(60)
    return os.getpid()


def note_pid_and_sleep(folder: str) -> None:
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(60)


def is_alive(pid: int) -> bool:
    """Whether the process runs; a zombie, dead but not yet collected, does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_until(condition, seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False
