"""Folders with one file per image (seeds, masks): resumed where left, never mixed from two settings.

What is made together with these files may lie in a folder beside, in files of the same names: an image is then done
when it has both. Each such folder holds `.fingerprint.json`, written before its first file:

    {"fingerprint": "9f3c…", "settings": {"threshold": "0.3", …}}
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recam_cli.core.bounded import read_json
from recam_cli.core.errors import RunError
from recam_cli.core.reporter import Reporter
from recam_cli.core.runs.files import write_json
from recam_cli.core.runs.leftovers import sweep
from recam_cli.core.runs.sums import changed_items, files_of_items

FINGERPRINT_NAME = ".fingerprint.json"
_DIFFERENCES_SHOWN = 6
_SHA256 = re.compile("[0-9a-f]{64}")
_WORD = 100
_ABSENT = object()


@dataclass(frozen=True)
class ItemFolder:
    """A folder of files `<id><suffix>`, all made with the same settings.

    Attributes:
        path: the folder.
        fingerprint: hash of the settings and inputs that its files depend on.
        settings: these settings and inputs by name, JSON-ready; shown where they differ from earlier ones.
        overwrite: move files of other settings aside instead of refusing.
        describe: what the files are, in the plural: "masks".
        suffix: the files' suffix: ".png".
        beside: a folder of files of the same names that belong to these, if there is one; they must be written first.
    """

    path: Path
    fingerprint: str
    settings: Mapping[str, Any]
    overwrite: bool
    describe: str
    suffix: str
    beside: Path | None = None

    @classmethod
    def open(
        cls,
        folder: Path,
        fingerprint: str,
        settings: Mapping[str, Any],
        overwrite: bool,
        describe: str,
        *,
        suffix: str,
        beside: Path | None = None,
    ) -> ItemFolder:
        """Check that `folder` can take files of these settings; nothing on disk is touched before `begin`.

        Call it before `Run.stage`, so that a refusal leaves the manifest's record of the earlier files as it
        is.

        Raises:
            RunError: it holds files made with other settings and `overwrite` is off; the message shows which
                settings differ, old → new.
        """
        items = cls(folder, fingerprint, settings, overwrite, describe, suffix, beside)
        items._refuse_others()
        return items

    def begin(self, reporter: Reporter) -> Path | None:
        """Make the folder ready: clear half-written files, move what does not belong to it aside, note the settings.

        Files of other settings go aside as a whole, and of these settings those that are not what was written, by the
        folder's list of hashes; both is told. The folder beside goes with it. Where only that one holds files of other
        settings, as after a kill or a move by hand, it is moved aside alone, and its files are made anew.

        Call it inside `Run.stage`, whose lock keeps other processes off the folder.

        Args:
            reporter: is told what was moved.

        Returns:
            Where files of other settings were moved (`<folder>.old-<n>`), or None.

        Raises:
            RunError: as `open`, or the folder cannot be written.
        """
        self._refuse_others()
        try:
            for folder in self._folders:
                sweep(folder)
            moved = self._move_aside()
            changed, kept = self._set_changed_aside()
        except OSError as error:
            raise RunError(
                f"{self.path}: cannot be made ready: {error.strerror}",
                remedy="Check the folder's permissions",
            ) from error
        for folder in self._folders:
            if _noted(folder).get("fingerprint") != self.fingerprint:
                note = {"fingerprint": self.fingerprint, "settings": dict(self.settings)}
                write_json(folder / FINGERPRINT_NAME, note)
        if moved is not None:
            reporter.info(f"Moved the {self.describe} of other settings to {moved}")
        if changed:
            some = f"{changed[0]}{', …' if len(changed) > 1 else ''}"
            reporter.warn(
                f"{self.path}: {len(changed)} of the {self.describe} changed since they were written ({some}): "
                f"kept in {kept}, and made anew"
            )
        return moved

    def file(self, item: str) -> Path:
        """Return the path of the file of image id `item`."""
        return self.path / f"{item}{self.suffix}"

    def done(self, item: str) -> bool:
        """Return whether the file of image id `item` is there, and the one beside; files appear whole."""
        return all((folder / f"{item}{self.suffix}").is_file() for folder in self._folders)

    def set_aside(self, item: str) -> Path:
        """Move the file of `item` to `<folder>.old-<n>`; return that folder."""
        target = names_aside([self.path])[self.path]
        target.mkdir()
        self.file(item).rename(target / self.file(item).name)
        return target

    @property
    def changed(self) -> bool:
        """Whether a file is not what was written, by the folder's list of hashes, which a finished stage leaves."""
        return any(changed_items(folder) for folder in self._folders)

    @property
    def holds_others(self) -> bool:
        """Whether it holds files of other settings."""
        return any(self._holds_others(folder) for folder in self._folders)

    @property
    def _folders(self) -> tuple[Path, ...]:
        """Both folders, the one beside first."""
        return (self.path,) if self.beside is None else (self.beside, self.path)

    def _holds_others(self, folder: Path) -> bool:
        if not folder.is_dir() or _noted(folder).get("fingerprint") == self.fingerprint:
            return False
        return any(folder.glob(f"*{self.suffix}"))

    def _refuse_others(self) -> None:
        for folder in self._folders:
            if folder.exists() and not folder.is_dir():
                raise RunError(f"{folder}: a file, where the folder of {self.describe} belongs", remedy="Move it away")
        if self._holds_others(self.path) and not self.overwrite:
            changes = differences_in_words(_noted(self.path).get("settings"), self.settings)
            raise RunError(
                f"{self.path} holds {self.describe} made with {changes}",
                remedy=f"Go on with those, or add --overwrite, which moves what is there to "
                f"{self._free_names()[self.path].name}",
            )

    def _free_names(self) -> dict[Path, Path]:
        """Return, for the folders to be moved aside, names of one serial number that are free for all of them."""
        return names_aside(folder for folder in self._folders if self._holds_others(folder))

    def _move_aside(self) -> Path | None:
        """Move files of other settings aside; return where those of `path` lie then, or None."""
        names = self._free_names()
        # The folder beside first: should the move end between the two, the other one still shows that it is due.
        for folder, target in names.items():
            folder.rename(target)
        return names.get(self.path)

    def _set_changed_aside(self) -> tuple[list[str], Path | None]:
        """Move the files of items that are not what was written aside; return these items, and where they lie then."""
        changed = sorted({item for folder in self._folders for item in changed_items(folder)})
        if not changed:
            return [], None
        names = names_aside(self._folders)
        for folder, target in names.items():
            target.mkdir()
            for path in files_of_items(folder, changed):
                path.rename(target / path.name)
        return changed, names[self.path]


def _noted(folder: Path) -> dict[str, Any]:
    try:
        note = read_json(folder / FINGERPRINT_NAME)
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def differences_in_words(old: Any, new: Mapping[str, Any]) -> str:
    """Return what settings noted earlier, JSON-like, say otherwise than `new`: "other settings: a 1 → 2"."""
    if not isinstance(old, dict):
        return "settings unknown"
    found = differences(old, new)
    return "another version of its settings" if found is None else f"other settings: {found}"


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> str | None:
    """Return how settings differ, "name old → new, …", a few at most; None where they do not."""
    plain = json.loads(json.dumps(dict(new), default=str))
    names = [n for n in [*plain, *(o for o in old if o not in plain)] if old.get(n, _ABSENT) != plain.get(n, _ABSENT)]
    if not names:
        return None
    changes = [f"{n} {_word(old.get(n, _ABSENT))} → {_word(plain.get(n, _ABSENT))}" for n in names]
    more = f" and {len(changes) - _DIFFERENCES_SHOWN} more" if len(changes) > _DIFFERENCES_SHOWN else ""
    return f"{', '.join(changes[:_DIFFERENCES_SHOWN])}{more}"


def _word(value: Any) -> str:
    if value is _ABSENT:
        return "(absent)"
    word = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if _SHA256.fullmatch(word):
        return word[:12]
    return word if len(word) <= _WORD else f"{word[:_WORD]}…"


def names_aside(folders: Iterable[Path]) -> dict[Path, Path]:
    """Return `<folder>.old-<n>` for each folder, with the first number that is free for all of them."""
    folders, serial = list(folders), 1
    while any(_aside(folder, serial).exists() for folder in folders):
        serial += 1
    return {folder: _aside(folder, serial) for folder in folders}


def _aside(folder: Path, serial: int) -> Path:
    return folder.with_name(f"{folder.name}.old-{serial}")
