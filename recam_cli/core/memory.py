"""How much memory a stage may take, and what follows from it: the one rule behind `--memory`.

A budget is what the process and its workers may hold in all; for batches on a GPU, what may be held there. Its text is
a size (`3GB`, `1.5GiB`, `800MB`) or `auto`. What remains of it beside what the process holds already (interpreter,
libraries, weights) is the room of batches. A batch is then computed in as many equal parts as its room asks for, by
what one photograph was measured to take (`core/footprint.py`), so that the whole batch is one part where it fits, and
results differ by rounding alone. Hence no fingerprint depends on a budget, and what was begun with one can be finished
with another.

`auto` takes `SHARE` of what is free, and on a CPU no more than `ROOM` for batches: larger ones are no faster there, and
so the last bits depend on the machine only where less than that can be had. The least that a stage needs, one
photograph at a time, `auto` may take beyond its share as long as it is there; what is given is not exceeded knowingly.

What is free is the least of: what the system says is available, what each control group (v1 or v2) above this process
leaves of its limit, and what `ulimit -v` leaves.
"""

from __future__ import annotations

import ctypes
import gc
import math
import os
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from recam_cli.core.errors import ResourceError, UsageError

AUTO = "auto"
SHARE = 0.6
"""Of what is free, for `auto`: the rest is left to the system's file cache and to others."""
ROOM = 768 << 20
"""Most bytes of a batch on a CPU, for `auto`."""
LEAST_SHARE = 0.95
"""Of what is free: more than this `auto` does not take even for one photograph."""
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30}
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?)\s*([kmgt]|[kmg]i)?b?", re.IGNORECASE)
_ONE = "for one photograph at a time,"
_REFINER, _REFINED = 160 << 20, 400
"""Bytes of such a process, and per pixel."""
_SMALLEST = 64 << 20
"""Less is a slip of the pen: an interpreter with its libraries takes more."""


def parse_size(text: str, where: str = "--memory") -> int | None:
    """Return the bytes that `3GB`, `1.5GiB` or `800MB` mean, None for `auto`.

    Raises:
        UsageError: it is neither, or less than 64 MiB; `where` names its origin.
    """
    if text.strip().lower() == AUTO:
        return None
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"{where}: {text!r} is no size", remedy="Say auto, or a size such as 3GB, 1.5GiB or 800MB")
    size = int(float(found[1]) * _UNITS[(found[2] or "").lower()])
    if size < _SMALLEST:
        raise UsageError(f"{where}: {text!r} is less than 64MiB", remedy="Say auto, or a size such as 3GB or 800MB")
    return size


def check_size(text: str, where: str) -> None:
    """Refuse what is no size, as of a setting; errors as `parse_size`."""
    parse_size(text, where)


def in_words(size: float) -> str:
    """Return bytes as `parse_size` takes them, rounded up: "850MB", "3.2GB"."""
    if size < 10**9:
        return f"{math.ceil(size / 10**6)}MB"
    return f"{math.ceil(size / 10**8) / 10:g}GB"


@dataclass(frozen=True)
class Cost:
    """What computing on n pixels takes: `fixed` + n · `per_pixel` bytes beside what is held before."""

    fixed: float
    per_pixel: float

    def of(self, pixels: float) -> float:
        """Return the bytes for so many pixels."""
        return self.fixed + pixels * self.per_pixel

    def plus(self, per_pixel: float) -> Cost:
        """Return the cost where each pixel takes some bytes more."""
        return Cost(self.fixed, self.per_pixel + per_pixel)


@dataclass(frozen=True)
class Budget:
    """What a stage may take.

    Attributes:
        total: bytes that may be held in all, workers included.
        held: bytes held when it was made.
        free: bytes that were free then.
        text: as the user wrote it.
        most: of a batch, in bytes.
        where: in words, what it is of: "memory" or "memory of the GPU".
    """

    total: int
    held: int
    free: int
    text: str = AUTO
    most: float = math.inf
    where: str = "memory"

    @classmethod
    def of(cls, text: str, *, free: int, held: int, share: float = SHARE, most: float = ROOM) -> Budget:
        """Return what `text`, as of `--memory`, means where so many bytes are free and held; errors as `parse_size`."""
        size = parse_size(text)
        if size is not None:
            return cls(size, held, free, text)
        return cls(held + int(share * free), held, free, most=most)

    @property
    def given(self) -> bool:
        """Whether the user named it."""
        return parse_size(self.text) is not None

    @property
    def room(self) -> float:
        """Bytes that a batch may take beside what is held."""
        return max(0.0, min(self.most, self.total - self.held))

    def pixels(self, cost: Cost, what: str, *, least: float = 0.0, remedy: str = "") -> int:
        """Return how many pixels may be computed together, at least 1.

        Args:
            cost: of computing on them.
            what: is computed, for messages, as "make-seeds".
            least: pixels of the largest photograph, which must fit.
            remedy: what else than more memory helps.

        Raises:
            UsageError, ResourceError: `least` pixels do not fit; the message says how much would do.
        """
        self.require(cost.of(least), what, remedy)
        return max(1, int(least), int((self.room - cost.fixed) / max(cost.per_pixel, 1e-9)))

    def together(self, count: int, each: float, what: str, *, fixed: float = 0.0, remedy: str = "") -> int:
        """Return how many of `count` things are computed together, at least 1, in parts as equal as can be.

        Args:
            count: things in a batch.
            each: bytes that one takes.
            what: is computed, for messages.
            fixed: bytes that it takes whatever their number.
            remedy: what else than more memory helps.

        Raises:
            UsageError, ResourceError: not even one fits; the message says how much would do.
        """
        self.require(fixed + each, what, remedy)
        fit = max(1, min(count, int((self.room - fixed) / max(each, 1.0))))
        return -(-count // -(-count // fit))

    def require(self, needed: float, what: str, remedy: str = "", words: str = _ONE) -> None:
        """Refuse what cannot be done.

        Args:
            needed: bytes that it takes beside what is held.
            what: is done, for messages.
            remedy: what else than more memory helps.
            words: for what that much is needed.

        Raises:
            UsageError: the user's budget is less.
            ResourceError: less is free.
        """
        also = f", or {remedy}" if remedy else ""
        if self.given and needed > self.total - self.held:
            enough = in_words(self.held + needed)
            raise UsageError(
                f"--memory {self.text}: {what} needs {enough} {words.rstrip(chr(44))}",
                remedy=f"Give --memory {enough}{also}",
            )
        if not self.given and needed > LEAST_SHARE * self.free:
            raise ResourceError(
                f"{what} needs {in_words(needed)} more {words} but {in_words(self.free)} of {self.where} are free",
                remedy=f"Close other programs{also}",
            )

    def workers(self, wanted: int, each: float, *, share: float = 1.0) -> int:
        """Return how many of `wanted` worker processes may run, at least 1 where any is wanted.

        Args:
            wanted: processes asked for.
            each: bytes that one takes.
            share: of what is left beside what is held, for all of them.
        """
        return min(wanted, max(1, int(share * max(0, self.total - self.held) / each)))


def host_budget(text: str) -> Budget:
    """Return the budget that `text` means for what lies in main memory, worker processes among it, now."""
    release_memory()
    return Budget.of(text, free=free_bytes(), held=held_bytes())


def release_memory() -> None:
    """Give the system back what was freed, but is kept for the next step; call it between works of different sizes.

    Kept blocks that fit nothing of the next work would add up to its own (glibc).
    """
    gc.collect()
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL("libc.so.6").malloc_trim(0)


def parts_of(count: int, together: int) -> Iterator[slice]:
    """Yield slices of at most `together` things that make up `count`."""
    for start in range(0, count, together):
        yield slice(start, min(count, start + together))


def refining_bytes(side: int) -> int:
    """Return what a process takes that refines masks of photographs of a longer side in pixels, one at a time.

    Measured: interpreter and libraries, and the dense CRF with the masks of some classes per pixel. 0 stands for
    photographs at their own size, of some megapixels.
    """
    pixels = 0.75 * side * side if side else 4e6
    return int(_REFINER + pixels * _REFINED)


def held_bytes() -> int:
    """Return the bytes of main memory that this process holds now."""
    try:
        return _kilobytes(Path("/proc/self/status"), "VmRSS") << 10
    except (OSError, ValueError):
        return _psutil_held()


def free_bytes(proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")) -> int:
    """Return the bytes of main memory that may be taken now.

    Args:
        proc: where Linux tells of processes.
        groups: where it tells of control groups.
    """
    try:
        available = _kilobytes(proc / "meminfo", "MemAvailable") << 10
    except (OSError, ValueError):
        available = _psutil_free()
    limits = [available, *_left_of_groups(proc / "self" / "cgroup", groups), *_left_of_ulimit(proc)]
    return max(0, min(limits))


def _kilobytes(path: Path, name: str) -> int:
    """Return what a line `Name:   123 kB` says; ValueError without one."""
    for line in path.read_text(encoding="ascii", errors="replace").splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0])
    raise ValueError(name)


def _left_of_groups(own: Path, groups: Path) -> Iterator[int]:
    """Yield what each control group above this process leaves of its limit."""
    try:
        lines = own.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        number, _, rest = line.partition(":")
        kinds, _, place = rest.partition(":")
        if number == "0" and not kinds:
            names, root = ("memory.max", "memory.current", "inactive_file"), groups
        elif "memory" in kinds.split(","):
            names, root = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"), groups / "memory"
        else:
            continue
        # Within a container the path may be that of the host, while its own group is mounted as the root.
        here = root / place.lstrip("/")
        for folder in (here, *(parent for parent in here.parents if parent.is_relative_to(root))):
            left = _left_of_group(folder, *names)
            if left is not None:
                yield left


def _left_of_group(folder: Path, limit: str, usage: str, cache: str) -> int | None:
    """Return the limit of one group less what it uses, its file cache that can go not counted; None without a limit."""
    try:
        most, used = int((folder / limit).read_text()), int((folder / usage).read_text())
    except (OSError, ValueError):  # no such file, or "max"
        return None
    try:
        statistics = (folder / "memory.stat").read_text().splitlines()
        used -= next(int(line.split()[1]) for line in statistics if line.split()[:1] == [cache])
    except (OSError, ValueError, IndexError, StopIteration):
        pass
    return max(0, most - max(0, used))


def _left_of_ulimit(proc: Path) -> Iterator[int]:
    if sys.platform == "win32":  # pragma: no cover
        return
    import resource

    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return
    try:
        yield max(0, limit - (_kilobytes(proc / "self" / "status", "VmSize") << 10))
    except (OSError, ValueError):
        return


def _psutil_free() -> int:  # pragma: no cover - not on Linux
    import psutil

    return int(psutil.virtual_memory().available)


def _psutil_held() -> int:  # pragma: no cover - not on Linux
    import psutil

    return int(psutil.Process(os.getpid()).memory_info().rss)
