"""Data sets with annotations as COCO has them (`--dataset coco`); they only become image-level labels.

    annotations/instances_<split>.json, photographs in <split>/, images/<split>/ or images/      as COCO itself
    <split>/_annotations.coco.json, photographs beside it                                       as Roboflow exports

A split may bear a year (train2017), and valid is val. Without both train and val, val is a part of the photographs
that recam chooses. Classes are the categories by ascending id, whatever gaps the ids have. Every annotation counts,
crowds too; a photograph without any shows none of the classes. True masks, if any, lie in SegmentationClass/<id>.png.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from recam_cli.core.bounded import read_json, reason_of
from recam_cli.core.data.classes import check_classes, clean_name
from recam_cli.core.data.ids import folded, id_of
from recam_cli.core.data.layout import MASKS_FOLDER, Listed, PhotoIndex, build_samples, index_masks, index_photos
from recam_cli.core.data.own_split import part_of, places_of, split_of, splits_of
from recam_cli.core.data.problems import Problem, Tell, raise_errors, some
from recam_cli.core.data.samples import ImageSet, Sample
from recam_cli.core.errors import DataError, UsageError

COCO_PLACE = "annotations/instances_<split>.json and the photographs in <split>/ or images/"
ANNOTATIONS, PREFIX, BESIDE = "annotations", "instances_", "_annotations.coco.json"
MAX_ANNOTATIONS_BYTES = 1 << 30
"""COCO's own largest has 470 MB."""
_JOIN = "__"
_KEPT = frozenset(("images", "annotations", "categories", "id", "file_name", "image_id", "category_id", "name"))
_REMEDY = "Export the annotations anew"


@dataclass(frozen=True)
class CocoPlace:
    """One part of the data set: its annotations, and the folders where its photographs may lie."""

    annotations: Path
    folders: tuple[Path, ...]


@dataclass(frozen=True)
class Instances:
    """What of an annotation file matters here.

    Attributes:
        classes: the categories' names, by ascending category id.
        images: file name and ascending 0-based classes of each photograph, in the file's order.
    """

    classes: tuple[str, ...]
    images: tuple[tuple[str, tuple[int, ...]], ...]


def open_coco(root: Path, split: str, labels: Path | None = None, tell: Tell = raise_errors) -> ImageSet:
    """Read one split.

    Args:
        root: the folder that holds annotations/, or the splits' folders.
        split: e.g. "train"; "all" where the data set has no splits of its own.
        labels: None.
        tell: receives what a reader can step over; by default an error stops it.

    Raises:
        UsageError: `labels` is a file.
        DataError: annotations or photographs are missing, or not of the layout above, or parts have other categories.
    """
    if labels is not None:
        raise UsageError("--labels does not go with --dataset coco", remedy="Its annotations say them: drop --labels")
    places = coco_places(root)
    if not places:
        raise DataError(f"{root}: no {ANNOTATIONS}/{PREFIX}<split>.json", remedy=f"Put {COCO_PLACE} there")
    chosen = places_of(places, split, root)
    classes = _common_classes(places)
    samples: list[Sample] = []
    for place in chosen:
        samples += _samples_of(root, place, tell)
    return ImageSet("coco", root, split, classes, part_of(tuple(samples), split, places, root))


def coco_splits(root: Path) -> tuple[str, ...]:
    """Return the splits, those that train first."""
    return splits_of(coco_places(root))


def coco_places(root: Path) -> dict[str, CocoPlace]:
    """Return the parts of the data set by split, or by their own names; none where there is no such layout.

    Raises:
        DataError: two parts are of one split, e.g. train2014 and train2017.
    """
    found: dict[str, CocoPlace] = {}
    for path in sorted((root / ANNOTATIONS).glob(f"{PREFIX}*.json")):
        own = path.stem.removeprefix(PREFIX)
        split = split_of(own) or own
        names = dict.fromkeys((own, split))
        inner = (folder for name in names for folder in (root / name, root / "images" / name))
        _add(found, split, CocoPlace(path, (*inner, root / "images", root)), root)
    if not found:
        for path in sorted(root.glob(f"*/{BESIDE}")):
            folder = path.parent
            _add(found, split_of(folder.name) or folder.name, CocoPlace(path, (folder, folder / "images")), root)
    return found


def _add(found: dict[str, CocoPlace], split: str, place: CocoPlace, root: Path) -> None:
    if split in found:
        names = f"{found[split].annotations.relative_to(root)} and {place.annotations.relative_to(root)}"
        raise DataError(f"{root}: both {names} are the split {split}", remedy="Move one of them away")
    found[split] = place


def _common_classes(places: dict[str, CocoPlace]) -> tuple[str, ...]:
    read = {place.annotations: read_instances(place.annotations).classes for place in places.values()}
    (first, classes), *others = read.items()
    for path, theirs in others:
        if theirs != classes:
            raise DataError(f"{path}: other categories than {first}", remedy="Export both with the same categories")
    return classes


def _samples_of(root: Path, place: CocoPlace, tell: Tell) -> tuple[Sample, ...]:
    found = read_instances(place.annotations)
    folder = _folder_of(place, [name for name, _ in found.images])
    here = index_photos(folder)
    labels: dict[str, tuple[int, ...]] = {}
    listed: list[Listed] = []
    nested: dict[str, Path] = {}
    for name, classes in found.images:
        parts = PurePosixPath(name.replace("\\", "/")).parts
        if not parts or any(part in ("/", "..") or ":" in part for part in parts):
            tell(Problem(place.annotations, f"file name {name[:80]!r} leads out of its folder", "Correct it"))
            continue
        image_id = id_of(_JOIN.join(parts))
        if len(parts) > 1:
            nested[image_id] = folder.joinpath(*parts)
        labels[image_id] = classes
        listed.append(Listed(image_id))
    there = {i: path for i, path in nested.items() if os.path.lexists(path)}
    photos = PhotoIndex(folder, {**here.photos, **there}, here.clashes, here.others)
    masks = index_masks(root / MASKS_FOLDER)
    return build_samples(listed, place.annotations, photos, masks, labels.__getitem__, tell)


def _folder_of(place: CocoPlace, names: Sequence[str]) -> Path:
    """Return the folder that holds the photographs: the first that has one of the first few.

    Raises:
        DataError: none does.
    """
    there = [folder for folder in place.folders if folder.is_dir()]
    for folder in there:
        if any(os.path.lexists(folder / name.replace("\\", "/")) for name in names[:20]):
            return folder
    looked = some([str(folder) for folder in place.folders], 6)
    if names or not there:
        raise DataError(f"{place.annotations}: its photographs are in none of {looked}", remedy="Put them into one")
    return there[0]


def read_instances(path: Path) -> Instances:
    """Read an annotation file; polygons and boxes are passed over.

    Raises:
        DataError: missing, too large, not JSON, or not of COCO's form; it names the first entry at fault.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise DataError(f"{path}: {reason_of(error)}", remedy=_REMEDY) from None
    return _read(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=4)
def _read(path: Path, size: int, changed: int) -> Instances:
    """Read it once per process: each stage opens the data set anew, and a large file takes seconds."""
    try:
        content = read_json(path, MAX_ANNOTATIONS_BYTES, _slim)
    except (OSError, ValueError) as error:
        kind = "cannot be read" if isinstance(error, OSError) else "not JSON"
        raise DataError(f"{path}: {kind}: {reason_of(error)}", remedy=_REMEDY) from None
    numbers, classes = _categories(_list(content, "categories", path), path)
    labels: dict[int | str, set[int]] = {}
    names: dict[int | str, str] = {}
    spellings: set[str] = set()
    for number, image in enumerate(_list(content, "images", path)):
        key, name = _number(image, "id", f"images[{number}]", path, word=True), image.get("file_name")
        if not isinstance(name, str) or not name:
            raise _fault(path, f"images[{number}]", "no file_name")
        if key in names or folded(name) in spellings:
            raise _fault(path, f"images[{number}]", f"id {key} or file name {name[:80]!r} occurs twice")
        spellings.add(folded(name))
        names[key], labels[key] = name, set()
    for number, annotation in enumerate(_list(content, "annotations", path)):
        where = f"annotations[{number}]"
        key = _number(annotation, "image_id", where, path, word=True)
        category = _number(annotation, "category_id", where, path)
        if key not in names:
            raise _fault(path, where, f"image_id {key} is no image's")
        if category not in numbers:
            raise _fault(path, where, f"category_id {category} is no category's")
        labels[key].add(numbers[category])
    return Instances(classes, tuple((name, tuple(sorted(labels[key]))) for key, name in names.items()))


def _slim(entry: dict[str, Any]) -> dict[str, Any]:
    """Drop polygons, boxes and all else at once: they are nearly all of a large file."""
    return {name: value for name, value in entry.items() if name in _KEPT}


def _categories(entries: list[dict[str, Any]], path: Path) -> tuple[dict[int | str, int], tuple[str, ...]]:
    found: dict[int | str, str] = {}
    for number, entry in enumerate(entries):
        key, name = _number(entry, "id", f"categories[{number}]", path), entry.get("name")
        if not isinstance(name, str) or not clean_name(name):
            raise _fault(path, f"categories[{number}]", "no name")
        if key in found:
            raise _fault(path, f"categories[{number}]", f"id {key} occurs twice")
        found[key] = clean_name(name)
    order = sorted(found, key=int)
    return {key: k for k, key in enumerate(order)}, check_classes([found[key] for key in order], path)


def _list(content: Any, name: str, path: Path) -> list[dict[str, Any]]:
    entries = content.get(name) if isinstance(content, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise DataError(f"{path}: no list {name!r} of objects, as COCO's annotations have", remedy=_REMEDY)
    return entries


def _number(entry: dict[str, Any], name: str, where: str, path: Path, *, word: bool = False) -> int | str:
    value = entry.get(name)
    if isinstance(value, bool) or not isinstance(value, int | str if word else int):
        raise _fault(path, where, f"{name} is no number")
    found: int | str = value
    return found


def _fault(path: Path, where: str, reason: str) -> DataError:
    return DataError(f"{path}: {where}: {reason}", remedy=_REMEDY)
