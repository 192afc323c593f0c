"""Faults a disk or a hand puts into files."""

from __future__ import annotations

from pathlib import Path


def flip_bit(path: Path, *, at: int | None = None) -> None:
    """Change one bit of the byte `at` (counted from the end if negative), by default of the one in the middle."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2 if at is None else at] ^= 1
    path.write_bytes(bytes(data))
