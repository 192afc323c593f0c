"""The folder that results go to where the user names one: files of theirs in it are not replaced.

Its list `.recam.sha256` names what recam wrote there, as `sha256sum --check` reads it. A file is recam's as long as its
hash stands there beside its name; one that was edited since is the user's.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from recam_cli.core.bounded import read_bounded, real_path, require_plain
from recam_cli.core.errors import UsageError
from recam_cli.core.runs.files import sha256_of, write_bytes

LIST_NAME = ".recam.sha256"


@dataclass(frozen=True)
class ResultFolder:
    """A folder for results.

    Attributes:
        path: made when the first file is written.
        shared: whether others may have files in it; of a folder within the run all files are recam's.
    """

    path: Path
    shared: bool

    @classmethod
    def at(cls, path: Path, run: Path | None) -> ResultFolder:
        """Return the folder `path`, which is shared unless it lies within `run`."""
        within = run is not None and real_path(path).is_relative_to(real_path(run))
        return cls(path, shared=not within)

    def require_free(self, names: Iterable[str]) -> None:
        """Pass if files of these names may be written: none is there but those that recam wrote.

        Raises:
            UsageError: another one is there, which would be lost.
        """
        known = self._listed() if self.shared else []
        for name in names if self.shared else ():
            path = self.path / name
            if os.path.lexists(path) and _line(name, _hash_of(path)) not in known:
                raise UsageError(
                    f"{path} holds something other than what recam wrote there, and would be replaced",
                    remedy="Choose another --out, or move it away",
                )

    def write(self, contents: Mapping[str, bytes]) -> tuple[Path, ...]:
        """Write files by name, each whole or not at all; return their paths.

        Raises:
            UsageError: as `require_free`; nothing is written then.
            RunError: the folder cannot be written.
        """
        self.require_free(contents)
        new = [_line(name, hashlib.sha256(data).hexdigest()) for name, data in contents.items()]
        before = self._listed() if self.shared else []
        if self.shared:  # first, so that after a kill both the old files and the new ones are known
            self._list([*before, *new])
        for name, data in contents.items():
            write_bytes(self.path / name, data)
        if self.shared:
            names = set(map(os.fsencode, contents))
            self._list([*(line for line in before if line.partition(b"  ")[2] not in names), *new])
        return tuple(self.path / name for name in contents)

    def _listed(self) -> list[bytes]:
        try:
            return read_bounded(self.path / LIST_NAME).split(b"\n")[:-1]
        except OSError:
            return []

    def _list(self, lines: Iterable[bytes]) -> None:
        write_bytes(self.path / LIST_NAME, b"".join(line + b"\n" for line in dict.fromkeys(lines)))


def _line(name: str, digest: str) -> bytes:
    return digest.encode() + b"  " + os.fsencode(name)


def _hash_of(path: Path) -> str:
    try:
        require_plain(path)
        return sha256_of(path)
    except OSError:
        return ""
