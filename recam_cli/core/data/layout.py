"""From a list of ids and folders of files to samples: what the file-based data sets have in common."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from recam_cli.core.data.ids import folded, id_fault, id_of
from recam_cli.core.data.images import PHOTO_SUFFIXES
from recam_cli.core.data.problems import Problem, Tell, did_you_mean, raise_errors, some
from recam_cli.core.data.samples import Sample
from recam_cli.core.data.text import read_lines
from recam_cli.core.errors import DataError

IMAGES_FOLDER = "JPEGImages"
MASKS_FOLDER = "SegmentationClass"


@dataclass(frozen=True)
class Listed:
    """One id of a list, and where it stands there ("line 3", or "" for a folder's contents)."""

    id: str
    where: str = ""


@dataclass(frozen=True)
class PhotoIndex:
    """The photographs of a folder by id.

    Attributes:
        folder: the folder.
        photos: path by id; of two files of one id the first by name.
        clashes: the file names of ids that differ at most in case or suffix, by case-folded id.
        others: names of files without a photograph's suffix, by id.
    """

    folder: Path
    photos: Mapping[str, Path]
    clashes: Mapping[str, tuple[str, ...]]
    others: Mapping[str, str]

    def find(self, image_id: str, tell: Tell = raise_errors) -> Path | None:
        """Return the id's photograph; None, after telling why, where there is not exactly one."""
        clash = self.clashes.get(folded(image_id))
        if clash is not None:
            names = " and ".join(clash[:2])
            reason = f"{names} would share the files of one image"
            tell(Problem(self.folder, reason, "Rename one; ids must differ in more than case and suffix"))
            return None
        path = self.photos.get(image_id)
        if path is None:
            tell(Problem(self.folder / image_id, *self._why_missing(image_id)))
        return path

    def _why_missing(self, image_id: str) -> tuple[str, str]:
        other = self.others.get(image_id)
        if other is not None:
            return (
                f"{other} is not of a photograph's type",
                f"Convert it to one of {' '.join(PHOTO_SUFFIXES)}",
            )
        # The closest name costs a pass over the folder, so only a few ids may ask for it.
        hint = did_you_mean(image_id, self.photos) if len(self.photos) <= 2000 else None
        return "no such photograph", hint or "Restore the file or take its id off the list"


def index_photos(folder: Path) -> PhotoIndex:
    """List a folder's photographs; hidden files do not count.

    Raises:
        DataError: there is no such folder, or it cannot be read.
    """
    names = file_names(folder)
    photos: dict[str, Path] = {}
    others: dict[str, str] = {}
    same: defaultdict[str, list[str]] = defaultdict(list)
    for name in names:
        if Path(name).suffix.lower() in PHOTO_SUFFIXES:
            photos.setdefault(id_of(name), folder / name)
            same[folded(id_of(name))].append(name)
        else:
            others.setdefault(id_of(Path(name).stem), name)
    return PhotoIndex(folder, photos, {k: tuple(v) for k, v in same.items() if len(v) > 1}, others)


def file_names(folder: Path) -> list[str]:
    """Return the names of a folder's visible entries that are no folders, sorted.

    Links that lead nowhere, pipes and devices are among them: whoever reads them says what is wrong, where leaving them
    out would pass over an image in silence.

    Raises:
        DataError: there is no such folder, or it cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted(e.name for e in entries if not e.name.startswith(".") and not _is_folder(e))
    except FileNotFoundError:
        raise DataError(f"{folder}: no such folder", remedy="Put the photographs there") from None
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed: {error.strerror}", remedy="Correct the path") from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def index_masks(*folders: Path) -> Callable[[str], Path | None]:
    """Return a look-up of an id's mask PNG, in the first of `folders` to hold it; they may be missing."""
    found: dict[str, Path] = {}
    for folder in folders:
        if folder.is_dir():
            for name in file_names(folder):
                if name.lower().endswith(".png"):
                    found.setdefault(id_of(name), folder / name)
    return found.get


def read_list(path: Path) -> list[Listed]:
    """Read one id (or file name) per line; blank lines do not count.

    Raises:
        DataError: missing, not UTF-8, or endless.
    """
    lines = enumerate(read_lines(path, "list of images"), start=1)
    return [Listed(id_of(line.strip()), f"line {number}") for number, line in lines if line.strip()]


def list_names(folder: Path) -> list[str]:
    """Return the names of the lists `<name>.txt` in a folder; none if there is no such folder."""
    if not folder.is_dir():
        return []
    return [name[:-4] for name in file_names(folder) if name.lower().endswith(".txt")]


def find_list(folder: Path, split: str) -> Path:
    """Return the list `<split>.txt`.

    Raises:
        DataError: there is none; the message names those there are.
    """
    names = list_names(folder)
    if split not in names:
        has = f"It has {some(names, 10)}" if names else f"Write the ids of its images there, one per line: {split}.txt"
        raise DataError(f"{folder}: no list of the split {split!r}", remedy=did_you_mean(split, names) or has)
    return folder / f"{split}.txt"


def build_samples(
    listed: Sequence[Listed],
    source: Path,
    photos: PhotoIndex,
    mask_of: Callable[[str], Path | None],
    labels_of: Callable[[str], tuple[int, ...]],
    tell: Tell = raise_errors,
) -> tuple[Sample, ...]:
    """Return the samples in the order listed.

    Args:
        listed: ids, not checked yet.
        source: the list, for messages.
        photos: where the photographs are.
        mask_of: the mask of an id, or None.
        labels_of: the ascending class ids of an id; tells its own problems.
        tell: receives ids that cannot be one, occur twice, or have no photograph; they are left out.
    """
    samples: list[Sample] = []
    seen: set[str] = set()
    for item in listed:
        place = f"{item.where}: " if item.where else ""
        fault = id_fault(item.id)
        if fault:
            tell(Problem(source, f"{place}{fault}", "Ids are plain file names, without folders"))
            continue
        if folded(item.id) in seen:
            tell(Problem(source, f"{place}image {item.id!r} is listed twice", "List it once"))
            continue
        seen.add(folded(item.id))
        image = photos.find(item.id, tell)
        if image is not None:
            samples.append(Sample(item.id, image, labels_of(item.id), mask_of(item.id)))
    return tuple(samples)
