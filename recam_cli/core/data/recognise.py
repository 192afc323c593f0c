"""Which kind of data set a folder is, told from what lies in it."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, replace
from pathlib import Path

from recam_cli.core.data.coco import ANNOTATIONS, coco_places
from recam_cli.core.data.custom import LISTS_FOLDER
from recam_cli.core.data.folder import SPLIT_FOLDERS
from recam_cli.core.data.images import PHOTO_SUFFIXES
from recam_cli.core.data.labels import LABEL_NAMES
from recam_cli.core.data.layout import IMAGES_FOLDER, MASKS_FOLDER, file_names
from recam_cli.core.data.problems import some
from recam_cli.core.data.voc import devkit_root
from recam_cli.core.data.yolo import yolo_places
from recam_cli.core.errors import DataError

LAYOUTS = (
    "Make either one folder of photographs per class (photos/cat/1.jpg, photos/dog/2.jpg), or put the photographs "
    "beside a table labels.csv (image,labels; 1.jpg,cat;dog)"
)
_HEADER_BYTES = 4096
_MOST_LOOKED_AT = 2000


@dataclass(frozen=True)
class Recognised:
    """What a folder is.

    Attributes:
        dataset: a name of `registry.DATASETS`.
        root: the data set's folder: the one named, or one in it.
        why: what it was told from, in words.
        labels: its label file, where that has another name than the reader looks for.
    """

    dataset: str
    root: Path
    why: str
    labels: Path | None = None


def recognise(path: Path, labels: Path | None = None) -> Recognised:
    """Return the kind of data set that lies at `path`; `labels` is a label file that was named, if one was.

    Raises:
        DataError: there is no such folder, nothing known in it, or more than one kind.
    """
    if not path.is_dir():
        what = "not a folder" if path.exists() else "no such folder"
        raise DataError(f"{path}: {what}", remedy="Name the folder of your photographs")
    try:
        found = [known for look in (_custom, _voc, _coco, _yolo) for known in look(path, labels)]
        # The layouts above have folders of their own, which would otherwise pass for class folders.
        found = found or ([Recognised("folder", path, "photographs", labels)] if labels else _plain(path))
        if not found:
            raise DataError(f"{path}: no data set is recognised; it holds {_content(path)}", remedy=LAYOUTS)
    except OSError as error:
        raise DataError(f"{error.filename}: {error.strerror}", remedy="Correct the path or its permissions") from error
    if len(found) > 1:
        raise _ambiguous(path, found)
    return found[0]


def _ambiguous(path: Path, found: list[Recognised]) -> DataError:
    kinds = " or ".join(f"{one.dataset} ({one.why})" for one in found)
    if len({one.dataset for one in found}) == len(found):
        remedy = f"Say which: {' or '.join(f'--dataset {one.dataset}' for one in found)}"
    elif len({one.labels for one in found}) == len(found):
        remedy = f"Name the label file, e.g. --labels {found[0].labels or found[1].labels}"
    elif len({one.root for one in found}) == len(found):
        remedy = f"Name one of the folders, e.g. {found[0].root}"
    else:
        remedy = "Move away what does not count"
    return DataError(f"{path}: it can be {kinds}", remedy=remedy)


def _custom(path: Path, labels: Path | None) -> list[Recognised]:
    has_lists = (path / LISTS_FOLDER).is_dir() and (path / IMAGES_FOLDER).is_dir()
    table = labels.name if labels else next((name for name in LABEL_NAMES if (path / name).is_file()), None)
    why = f"{IMAGES_FOLDER}/, ImageSets/ and {table}"
    return [Recognised("custom", path, why, labels)] if has_lists and table else []


def _voc(path: Path, labels: Path | None) -> list[Recognised]:
    if labels is not None and (path / IMAGES_FOLDER).is_dir():  # `custom` has them
        return []
    roots = [root for root in (path, devkit_root(path)) if _is_devkit(root)][:1]
    if not roots:
        inner = [path, path / "VOCdevkit"]
        roots = [root for base in inner for root in sorted(base.glob("VOC20*")) if _is_devkit(root)]
    why = f"{IMAGES_FOLDER}/, Annotations/, ImageSets/"
    return [Recognised("voc", root, f"{_shown(root, path)}{why}", labels) for root in roots]


def _is_devkit(root: Path) -> bool:
    folders = (root / IMAGES_FOLDER, root / "ImageSets")
    return all(folder.is_dir() for folder in folders) and any((root / "Annotations").glob("*.xml"))


def _coco(path: Path, labels: Path | None) -> list[Recognised]:
    places = coco_places(path)
    files = [_relative(place.annotations, path) for place in places.values()]
    return [Recognised("coco", path, some(files), labels)] if files else []


def _yolo(path: Path, labels: Path | None) -> list[Recognised]:
    places = {name: place for name, place in yolo_places(path).items() if _has_texts(place.labels)}
    folders = [f"{_relative(folder, path)}/" for p in places.values() for folder in (p.images, p.labels)]
    return [Recognised("yolo", path, some(dict.fromkeys(folders), 4), labels)] if folders else []


def _has_texts(folder: Path) -> bool:
    return any(path.name not in ("classes.txt", "notes.txt") for path in folder.glob("*.txt"))


def _table(path: Path) -> list[Recognised]:
    if (path / IMAGES_FOLDER).is_dir():
        return []
    own = [name for name in LABEL_NAMES if (path / name).is_file()]
    if own:
        return [Recognised("folder", path, f"photographs and {' and '.join(own)}")]
    tables = [path / name for name in file_names(path) if name.lower().endswith(".csv")]
    tables = [table for table in tables if has_image_column(table)]
    return [Recognised("folder", path, f"photographs and {table.name}", table) for table in tables]


def _class_folders(path: Path) -> list[Recognised]:
    split = [name for name in SPLIT_FOLDERS if (path / name).is_dir()]
    names: dict[str, None] = {}
    for base in [path / name for name in split] if {"train", "val"} <= set(split) else [path]:
        names |= dict.fromkeys(p.name for p in sorted(base.iterdir()) if _holds_photographs(p))
    if not names or set(names) <= {"images", IMAGES_FOLDER}:
        return []
    where = " in train/ and val/" if {"train", "val"} <= set(split) else ""
    return [Recognised("folder", path, f"class folders {some(names)}{where}")]


def _plain(path: Path) -> list[Recognised]:
    """Return a folder of photographs with a table, or one with class folders; both, if nothing says which counts."""
    tables, folders = _table(path), _class_folders(path)
    if not (tables and folders):
        return tables or folders
    if any(_is_photograph(name) for name in file_names(path)):
        return tables  # the folders hold something else
    return [*tables, *(replace(one, why=f"{one.why}, if the table is moved away") for one in folders)]


def has_image_column(path: Path) -> bool:
    """Return whether a file begins with a CSV header that has a column `image`."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEADER_BYTES).decode("utf-8-sig", "replace")
        cells = next(csv.reader(io.StringIO(head)), [])
    except (OSError, csv.Error):
        return False
    return "image" in (cell.strip().lower() for cell in cells)


def _holds_photographs(path: Path) -> bool:
    if path.name.startswith(".") or path.name == MASKS_FOLDER or not path.is_dir():
        return False
    return any(_is_photograph(inner.name) for inner, _ in zip(path.iterdir(), range(_MOST_LOOKED_AT), strict=False))


def _is_photograph(name: str) -> bool:
    return name.lower().endswith(PHOTO_SUFFIXES) and not name.startswith(".")


def _content(path: Path) -> str:
    """Say what lies in a folder: how many photographs, and its folders and other files by name."""
    files = file_names(path)
    photos = sum(_is_photograph(name) for name in files)
    folders = sorted(f"{p.name}/" for p in path.iterdir() if p.is_dir() and not p.name.startswith("."))
    parts = [f"{photos} photographs"] if photos else []
    parts += [some(folders, 4)] if folders else []
    others = [name for name in files if not _is_photograph(name)]
    parts += [some(others, 4)] if others else []
    if (path / ANNOTATIONS).is_dir():
        parts.append(f"no instances_*.json in {ANNOTATIONS}/")
    return "; ".join(parts) or "nothing"


def _relative(inner: Path, path: Path) -> str:
    return str(inner.relative_to(path))


def _shown(root: Path, path: Path) -> str:
    return "" if root == path else f"{_relative(root, path)}/: "
