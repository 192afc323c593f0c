"""Snapshots on disk: `last.safetensors`, `last-1.safetensors` before it; `best-<phase>.safetensors`: weights alone.

Each is one file: tensors by name, and in its header a JSON text with everything else and the SHA-256 of both, by which
damage is recognised. Each appears whole, after which the former is the one before; no moment is without a whole one.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from recam_cli.core.bounded import parse_json, reason_of, require_plain
from recam_cli.core.errors import RunError
from recam_cli.core.models.tensor_digest import tensor_digest
from recam_cli.core.reporter import Reporter
from recam_cli.core.runs.files import atomic_file, write_bytes
from recam_cli.core.runs.items import differences_in_words, names_aside

FOLDER = "snapshots"
_LAST, _BEFORE, _BEST = "last.safetensors", "last-1.safetensors", "best"
_IDENTITY = "identity"


class DamagedError(Exception):
    """A snapshot's file is not as it was written; the text says why."""


@dataclass(frozen=True)
class Snapshot:
    """A training at one moment.

    Attributes:
        tensors: by name, on the CPU.
        facts: JSON-like; under "identity" what the training depends on.
    """

    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any]


def packed(snapshot: Snapshot) -> bytes:
    """Return the bytes of a snapshot's file."""
    tensors = {name: tensor.detach().to("cpu").contiguous() for name, tensor in snapshot.tensors.items()}
    facts = json.dumps(dict(snapshot.facts), default=str)
    return safetensors.torch.save(tensors, metadata={"facts": facts, "sha256": tensor_digest(tensors, facts)})


def read_snapshot(path: Path) -> Snapshot:
    """Read a file of `packed` bytes.

    Raises:
        DamagedError: it is missing, or not as it was written.
    """
    try:
        require_plain(path)
        with safetensors.safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
        facts = header["facts"]
        if header["sha256"] != tensor_digest(tensors, facts):
            raise DamagedError("its content does not match its hash")
        known = parse_json(facts)
        if not isinstance(known, dict):
            raise DamagedError("its facts are not those of a training")
        return Snapshot(tensors, known)
    except FileNotFoundError:
        raise DamagedError("missing") from None
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, safetensors.SafetensorError) as error:
        raise DamagedError(reason_of(error)) from None


@dataclass
class SnapshotFolder:
    """The snapshots of one training.

    Attributes:
        path: the folder, which holds nothing else.
    """

    path: Path
    _last_is_damaged: bool = False

    @property
    def last(self) -> Path:
        """The newest snapshot."""
        return self.path / _LAST

    @property
    def before(self) -> Path:
        """The one before it."""
        return self.path / _BEFORE

    def best(self, phase: str) -> Path:
        """Return where the weights of a phase's best epoch so far lie, where a training selects one.

        Each phase has its own: the next one's is written before its first snapshot, and a training that is killed
        between both goes on in the phase before.
        """
        return self.path / f"{_BEST}-{phase.lower()}.safetensors"

    def write_best(self, phase: str, snapshot: Snapshot) -> None:
        """Replace the weights of a phase's best epoch; errors as `write`."""
        write_bytes(self.best(phase), packed(snapshot))

    def read(self, reporter: Reporter) -> Snapshot | None:
        """Return the newest whole snapshot, or None where there is none; a damaged one is told.

        Raises:
            RunError: there are snapshots, but none is whole; nothing has been touched.
        """
        reasons = {}
        for path in (self.last, self.before):
            if not path.exists():
                continue
            try:
                snapshot = read_snapshot(path)
            except DamagedError as error:
                reasons[path] = error
                continue
            if reasons:
                reporter.warn(f"{self.last} is damaged ({reasons[self.last]}): going on from {path}")
            self._last_is_damaged = self.last in reasons
            return snapshot
        if not reasons:
            return None
        found = ", ".join(f"{path.name} ({reason})" for path, reason in reasons.items())
        raise RunError(
            f"{self.path}: no snapshot is whole: {found}",
            remedy="Restore one, or move the folder away and begin anew, without --resume",
        )

    def write(self, snapshot: Snapshot) -> None:
        """Make `snapshot` the last one, and the last the one before.

        Raises:
            RunError: the folder cannot be written.
        """
        data = packed(snapshot)
        with atomic_file(self.last) as file:
            file.write(data)
            if self.last.exists() and not self._last_is_damaged:
                self.last.replace(self.before)
        self._last_is_damaged = False

    def clear(self) -> None:
        """Delete the snapshots, half-written ones among them."""
        shutil.rmtree(self.path, ignore_errors=True)

    def set_aside(self) -> Path | None:
        """Move snapshots of an unfinished training to `<folder>.old-<n>`; return where, or None if there are none.

        Raises:
            RunError: the folder cannot be moved.
        """
        if not any(path.exists() for path in (self.last, self.before)):
            return None
        aside = names_aside([self.path])[self.path]
        try:
            self.path.rename(aside)
        except OSError as error:
            raise RunError(f"{self.path} cannot be moved: {error.strerror}", remedy="Mend its permissions") from error
        return aside


def require_snapshot(folder: SnapshotFolder, identity: Mapping[str, Any], reporter: Reporter) -> Snapshot:
    """Return the snapshot that a training of `identity` goes on from; nothing is touched.

    Raises:
        RunError: there is none, none is whole, or it is of other settings; the message shows which differ, old → new.
    """
    snapshot = folder.read(reporter)
    if snapshot is None:
        raise RunError(
            f"nothing to resume: neither {folder.last} nor {folder.before.name} is there",
            remedy="Begin anew, without --resume",
        )
    if not of_identity(snapshot, identity):
        raise RunError(
            f"{folder.last} was made with {changes_of(snapshot, identity)}",
            remedy="Resume with the settings of then, or begin anew, without --resume",
        )
    return snapshot


def of_identity(snapshot: Snapshot, identity: Mapping[str, Any]) -> bool:
    """Return whether the snapshot is of a training that depends on `identity`."""
    return bool(snapshot.facts.get(_IDENTITY) == json.loads(json.dumps(dict(identity), default=str)))


def changes_of(snapshot: Snapshot, identity: Mapping[str, Any]) -> str:
    """Return in words what differs between what the snapshot depends on and `identity`, old → new."""
    return differences_in_words(snapshot.facts.get(_IDENTITY), identity)
