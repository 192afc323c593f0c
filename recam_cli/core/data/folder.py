"""Plain folders of photographs (`--dataset folder`), in one of two layouts:

    <class>/<photo>                    folder per class, one label per image; its id is <class>__<photo>
    <photo>, labels.csv                flat, with labels as in core/data/labels.py; the id is <photo>

Photographs without a row, or beside the class folders, are unlabelled: they are left out, with a warning; `recam run`
predicts them. An empty cell in labels.csv is no missing row, but says that the photograph shows none of the classes.

A folder named `background`, `none`, `nothing`, `negatives`, `empty` (all in `classes.NOTHING`, in any case) holds
photographs that show none of the classes, unless classes.txt names a class so.

Splits: where `train/` and `val/` (and perhaps `test/`) exist, each holds one of the layouts, and classes.txt
and labels.csv lie beside them; in the first layout ids then begin with the split, e.g. train__cat__001.
Otherwise `val` is about a fifth of each class and `train` the rest, so that no class is without photographs to
train on, copies and bursts stay on one side, and adding a photograph moves few of the others (core/data/split.py,
near_copies.py); `all` is both together. What tells copies apart is remembered in `.recam-photos.json`, if it can be
written.

Classes are the lines of classes.txt, or else the folder names or the label names, sorted. True masks, if any,
lie in SegmentationClass/<id>.png.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from recam_cli.core.bounded import is_there
from recam_cli.core.data.classes import CLASSES_NAME, check_classes, clean_name, read_classes, says_nothing
from recam_cli.core.data.custom import classes_of, require_labels
from recam_cli.core.data.ids import folded, id_of
from recam_cli.core.data.images import PHOTO_SUFFIXES
from recam_cli.core.data.labels import LABEL_NAMES, LabelTable, find_labels, read_labels
from recam_cli.core.data.layout import (
    MASKS_FOLDER,
    Listed,
    PhotoIndex,
    build_samples,
    file_names,
    index_masks,
    index_photos,
)
from recam_cli.core.data.near_copies import near_copies
from recam_cli.core.data.photo_marks import MARKS_NAME
from recam_cli.core.data.problems import Problem, Tell, did_you_mean, raise_errors, some
from recam_cli.core.data.samples import ImageSet, Sample
from recam_cli.core.data.split import held_out
from recam_cli.core.errors import DataError

SPLIT_FOLDERS = ("train", "val", "test")
JOIN = "__"


def open_folder(root: Path, split: str, *, labels: Path | None = None, tell: Tell = raise_errors) -> ImageSet:
    """Read one split.

    Args:
        root: the folder.
        split: "train", "val" or "all"; or the name of a split's folder.
        labels: a label file instead of labels.csv or labels.json; chooses the flat layout.
        tell: receives what a reader can step over; by default an error stops it.

    Raises:
        DataError: no such folder or split, or neither class folders nor a label file.
    """
    told: list[Problem] = []

    def hear(problem: Problem) -> None:
        told.append(problem)
        tell(problem)

    _check_root(root)
    splits = folder_splits(root)
    if split not in (*splits, *_also(root)):
        remedy = did_you_mean(split, splits) or f"It has {some((*splits, *_also(root)))}"
        raise DataError(f"{root}: no split {split!r}", remedy=remedy)
    base = root / split if _has_split_folders(root) else root
    path = labels or find_labels(root)
    flat = path is not None or (bool(_photos_of(base)) and not _class_folders(base))
    classes, samples = _flat(root, base, labels, hear) if flat else _per_class(root, base, hear)
    if not _has_split_folders(root):
        sound = all(problem.severity == "warning" for problem in told)  # else nothing is written
        samples = _part(samples, split, root / MARKS_NAME if sound else None)
    return ImageSet("folder", root, split, classes, samples)


def folder_splits(root: Path) -> tuple[str, ...]:
    """Return the splits that do not overlap: the split folders there are, else train and val."""
    if _has_split_folders(root):
        return tuple(name for name in SPLIT_FOLDERS if (root / name).is_dir())
    return ("train", "val")


def has_own_split(root: Path) -> bool:
    """Return whether recam itself parts the photographs into `train` and `val`, as no folders do."""
    return not _has_split_folders(root)


def is_per_class(root: Path) -> bool:
    """Return whether the photographs lie in class folders, without a label file."""
    bases = [root / name for name in folder_splits(root)] if _has_split_folders(root) else [root]
    return find_labels(root) is None and any(_class_folders(base) for base in bases)


@dataclass(frozen=True)
class _ClassFolder:
    name: str
    path: Path


def _check_root(root: Path) -> None:
    present = [name for name in SPLIT_FOLDERS[:2] if (root / name).is_dir()]
    # A folder of photographs alone may well be a class: a train is one of VOC's.
    if len(present) == 1 and _class_folders(root / present[0]):
        other = "val" if present == ["train"] else "train"
        raise DataError(
            f"{root}: {present[0]}/ without {other}/",
            remedy=f"Add {other}/, or give {root / present[0]} as --data-root to have a part held out",
        )


def _has_split_folders(root: Path) -> bool:
    return all((root / name).is_dir() for name in SPLIT_FOLDERS[:2])


def _also(root: Path) -> tuple[str, ...]:
    return () if _has_split_folders(root) else ("all",)


def _part(samples: tuple[Sample, ...], split: str, cache: Path | None) -> tuple[Sample, ...]:
    if split == "all":
        return samples
    groups = near_copies({s.id: s.image for s in samples}, cache=cache)
    held = held_out({s.id: s.labels for s in samples}, groups)
    return tuple(s for s in samples if (s.id in held) == (split == "val"))


def _flat(root: Path, base: Path, labels: Path | None, tell: Tell) -> tuple[tuple[str, ...], tuple[Sample, ...]]:
    table = read_labels(labels or require_labels(root), tell)
    classes = classes_of(root, table)
    ids = {name: k for k, name in enumerate(classes)}
    photos = index_photos(base)
    bases = [root / name for name in folder_splits(root)] if base != root else [base]
    _match_photos(table, photos, [index_photos(b) for b in bases if b != base], tell)
    _warn_of_others(base, tell)
    listed = [i for i in photos.photos if i in table.entries or folded(i) in table.spellings]
    _warn_of_unlabelled(base, [p.name for i, p in photos.photos.items() if i not in set(listed)], "have no row", tell)
    samples = build_samples(
        [Listed(image_id) for image_id in listed],
        base,
        photos,
        _masks(root, base),
        lambda image_id: table.labels_of(image_id, ids, tell),
        tell,
    )
    return classes, samples


def _match_photos(table: LabelTable, photos: PhotoIndex, elsewhere: list[PhotoIndex], tell: Tell) -> None:
    """Tell of rows without a photograph in any split's folder, and of photographs in two of them."""
    for image_id in table.entries:
        if image_id not in photos.photos and not any(image_id in other.photos for other in elsewhere):
            photos.find(image_id, tell)
    for other in elsewhere:
        for image_id in photos.photos.keys() & other.photos.keys():
            reason = f"has the id of {other.photos[image_id]}: {image_id!r}"
            tell(Problem(photos.photos[image_id], reason, "Rename one of them"))


def _per_class(root: Path, base: Path, tell: Tell) -> tuple[tuple[str, ...], tuple[Sample, ...]]:
    folders = _class_folders(base)
    if not folders:
        raise DataError(
            f"{base}: neither class folders with photographs nor a label file",
            remedy="Make one folder per class, or add labels.csv with the columns image,labels",
        )
    _warn_of_unlabelled(base, _photos_of(base), "lie beside class folders", tell)
    classes, negatives = _class_names(root, base, folders, tell)
    samples: list[Sample] = []
    owners: dict[str, Path] = {}
    prefix = f"{base.name}{JOIN}" if base != root else ""
    for folder in folders:
        if folder.name not in classes and folder not in negatives:
            continue
        photos = _renamed(index_photos(folder.path), f"{prefix}{folder.name}{JOIN}")
        _warn_of_others(folder.path, tell)
        shown = () if folder in negatives else (classes.index(folder.name),)
        labels = dict.fromkeys(photos.photos, shown)
        ids = [Listed(i) for i in photos.photos]
        masks = _masks(root, base)
        for sample in build_samples(ids, folder.path, photos, masks, labels.__getitem__, tell):
            other = owners.setdefault(folded(sample.id), sample.image)
            if other != sample.image:
                tell(Problem(sample.image, f"has the id of {other}: {sample.id!r}", "Rename one of them"))
            else:
                samples.append(sample)
    return classes, tuple(samples)


def _class_names(
    root: Path, base: Path, folders: list[_ClassFolder], tell: Tell
) -> tuple[tuple[str, ...], list[_ClassFolder]]:
    """Return the classes, and the folders of photographs that show none of them."""
    path = root / CLASSES_NAME
    if is_there(path):
        classes = read_classes(path)
    else:
        bases = [root / name for name in folder_splits(root)] if base != root else [base]
        names = {f.name for b in bases for f in _class_folders(b)}
        classes = check_classes(sorted(name for name in names if not says_nothing(name)), root)
    negatives = [folder for folder in folders if says_nothing(folder.name, classes)]
    for folder in folders:
        if folder.name not in classes and folder not in negatives:
            remedy = did_you_mean(folder.name, classes) or f"Add it to {CLASSES_NAME}, or remove the folder"
            tell(Problem(folder.path, f"unknown label {folder.name!r}: not a line of {CLASSES_NAME}", remedy))
    return classes, negatives


def _class_folders(base: Path) -> list[_ClassFolder]:
    """Return the visible folders, apart from that of the masks, sorted by name."""
    if not base.is_dir():
        raise DataError(f"{base}: no such folder", remedy="Put the photographs there")
    found = [p for p in base.iterdir() if p.is_dir() and not p.name.startswith(".") and p.name != MASKS_FOLDER]
    return sorted((_ClassFolder(clean_name(p.name), p) for p in found), key=lambda f: (f.name, str(f.path)))


def _photos_of(folder: Path) -> list[str]:
    return [name for name in file_names(folder) if Path(name).suffix.lower() in PHOTO_SUFFIXES]


def _renamed(photos: PhotoIndex, prefix: str) -> PhotoIndex:
    return PhotoIndex(
        photos.folder,
        {id_of(f"{prefix}{i}.jpg"): path for i, path in photos.photos.items()},
        {folded(f"{prefix}{i}"): names for i, names in photos.clashes.items()},
        photos.others,
    )


def _masks(root: Path, base: Path) -> Callable[[str], Path | None]:
    return index_masks(root / MASKS_FOLDER, base / MASKS_FOLDER)


def _warn_of_unlabelled(base: Path, names: list[str], why: str, tell: Tell) -> None:
    """Warn of photographs that nobody labelled: they train nothing, and `recam run` predicts them."""
    if names:
        reason = f"{len(names)} photographs {why}, so they train nothing: {some(names)}"
        tell(Problem(base, reason, "Label them if they should count; recam run predicts them", "warning"))


def _warn_of_others(folder: Path, tell: Tell) -> None:
    """Warn of what lies among the photographs and is passed over: files of other types, hidden ones, and folders."""
    known = (*LABEL_NAMES, CLASSES_NAME, "README.md", "Thumbs.db")
    others = [n for n in file_names(folder) if Path(n).suffix.lower() not in PHOTO_SUFFIXES and n not in known]
    inner = sorted(p.name + "/" for p in folder.iterdir() if p.is_dir() and p.name != MASKS_FOLDER)
    hidden = sorted(p.name for p in folder.iterdir() if p.name.startswith(".") and p.suffix.lower() in PHOTO_SUFFIXES)
    if others or inner or hidden:
        reason = f"passed over, as no photographs: {some([*others, *inner, *hidden])}"
        tell(Problem(folder, reason, "Convert or move them if they should count", "warning"))
