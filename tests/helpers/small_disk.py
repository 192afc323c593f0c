"""A file system of a few kilobytes of its own, where the system lets us make one (Linux, as root)."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class SmallDisk(type(Path())):
    """The disk's folder."""

    def make_read_only(self) -> None:
        subprocess.run(["mount", "-o", "remount,ro", str(self)], check=True)

    def leave_free(self, kilobytes: int) -> None:
        """Let so much more be written."""
        status = os.statvfs(self)
        used = (status.f_blocks - status.f_bfree) * status.f_frsize >> 10
        subprocess.run(["mount", "-o", f"remount,rw,size={used + kilobytes}k", str(self)], check=True)


@contextmanager
def small_disk(tmp_path: Path, *, kilobytes: int) -> Iterator[SmallDisk]:
    """Give a disk below `tmp_path` for the block; skips the test where none can be made."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(place)]
    try:
        made = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        made = False
    if not made:
        pytest.skip("no file system can be mounted here: it takes Linux and root")
    try:
        yield SmallDisk(place)
    finally:
        subprocess.run(["umount", str(place)], check=False)
