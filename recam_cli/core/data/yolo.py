"""Data sets in YOLO's layouts (`--dataset yolo`); boxes only become image-level labels.

    images/<split>/<id>.jpg, labels/<split>/<id>.txt      as Ultralytics has them; splits as train, val, train2017
    <split>/images/<id>.jpg, <split>/labels/<id>.txt      as Roboflow exports them; valid is val
    images/<id>.jpg, labels/<id>.txt                      no splits, or lists of photographs in train.txt and val.txt

Each line of a label file begins with the number of a class, from 0. A photograph without a label file, or with an
empty one, shows none of the classes. The names stand in data.yaml (`names:`), or in classes.txt, one per line.
Without both train and val, val is a part of the photographs that recam chooses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from recam_cli.core.bounded import read_bounded, reason_of
from recam_cli.core.data.ids import id_of
from recam_cli.core.data.images import PHOTO_SUFFIXES
from recam_cli.core.data.layout import (
    MASKS_FOLDER,
    Listed,
    PhotoIndex,
    build_samples,
    file_names,
    index_masks,
    index_photos,
)
from recam_cli.core.data.own_split import part_of, places_of, split_of, splits_of
from recam_cli.core.data.problems import Problem, Tell, raise_errors, some
from recam_cli.core.data.samples import ImageSet, Sample
from recam_cli.core.data.text import read_lines
from recam_cli.core.data.yolo_names import read_names
from recam_cli.core.errors import DataError, UsageError

YOLO_PLACE = "images/, labels/ with <id>.txt, and data.yaml"
IMAGES, LABELS = "images", "labels"
_LIST_NAMES = ("train.txt", "val.txt", "valid.txt", "test.txt")
_MAX_LABEL_BYTES = 8 << 20


@dataclass(frozen=True)
class YoloPlace:
    """One part of the data set: folders of photographs and of label files, and perhaps a list of photographs."""

    images: Path
    labels: Path
    listing: Path | None = None


def open_yolo(root: Path, split: str, labels: Path | None = None, tell: Tell = raise_errors) -> ImageSet:
    """Read one split.

    Args:
        root: the folder that holds images/ and labels/, or the splits' folders.
        split: e.g. "train"; "all" where the data set has no splits of its own.
        labels: None.
        tell: receives what a reader can step over; by default an error stops it.

    Raises:
        UsageError: `labels` is a file.
        DataError: a folder, list or the names are missing, or not of the layout above.
    """
    if labels is not None:
        raise UsageError("--labels does not go with --dataset yolo", remedy="Its labels/ say them: drop --labels")
    places = yolo_places(root)
    if not places:
        raise DataError(f"{root}: no images/ with labels/ beside it", remedy=f"Put {YOLO_PLACE} there")
    chosen = places_of(places, split, root)
    classes = read_names(root)
    samples: list[Sample] = []
    for place in chosen:
        samples += _samples_of(root, place, classes, tell)
    return ImageSet("yolo", root, split, classes, part_of(tuple(samples), split, places, root))


def yolo_splits(root: Path) -> tuple[str, ...]:
    """Return the splits, those that train first."""
    return splits_of(yolo_places(root))


def yolo_places(root: Path) -> dict[str, YoloPlace]:
    """Return the parts of the data set by name; a whole without splits is "all". None where there is no such layout.

    Raises:
        DataError: two parts are of one split, e.g. valid/ and val/.
    """
    inside = _named(root / IMAGES, lambda name: YoloPlace(root / IMAGES / name, root / LABELS / name), root)
    outside = _named(root, lambda name: YoloPlace(root / name / IMAGES, root / name / LABELS), root)
    if inside or outside:
        return inside or outside
    whole = YoloPlace(root / IMAGES, root / LABELS)
    if not (whole.images.is_dir() and whole.labels.is_dir()):
        return {}
    lists = {split_of(Path(name).stem) or "": root / name for name in _LIST_NAMES if (root / name).is_file()}
    if not {"train", "val"} <= set(lists):
        return {"all": whole}
    return {name: YoloPlace(whole.images, whole.labels, path) for name, path in lists.items()}


def _named(folder: Path, place_of: Callable[[str], YoloPlace], root: Path) -> dict[str, YoloPlace]:
    """Return the parts whose folders are named after splits and hold photographs and labels."""
    found: dict[str, YoloPlace] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        split = split_of(path.name)
        place = place_of(path.name)
        if split is None or not (place.images.is_dir() and place.labels.is_dir()):
            continue
        if split in found:
            raise DataError(
                f"{root}: both {found[split].images} and {place.images} are the split {split}",
                remedy="Move one of them away",
            )
        found[split] = place
    return found


def _samples_of(root: Path, place: YoloPlace, classes: tuple[str, ...], tell: Tell) -> tuple[Sample, ...]:
    photos = index_photos(place.images)
    texts = {Path(name).stem: place.labels / name for name in file_names(place.labels) if name.endswith(".txt")}
    _warn_of_lone_files(place, photos, texts, tell)

    def labels_of(image_id: str) -> tuple[int, ...]:
        path = texts.get(photos.photos[image_id].stem)
        return read_label_file(path, len(classes), tell) if path is not None else ()

    listed = _listed(place, photos)
    source = place.listing or place.images
    return build_samples(listed, source, photos, index_masks(root / MASKS_FOLDER), labels_of, tell)


def _listed(place: YoloPlace, photos: PhotoIndex) -> list[Listed]:
    if place.listing is None:
        return [Listed(image_id) for image_id in photos.photos]
    lines = enumerate(read_lines(place.listing, "list of photographs"), start=1)
    # The paths are those of the machine that the list was written on: only the name tells the photograph.
    names = ((number, PurePosixPath(line.strip().replace("\\", "/")).name) for number, line in lines if line.strip())
    return [Listed(id_of(name), f"line {number}") for number, name in names]


def _warn_of_lone_files(place: YoloPlace, photos: PhotoIndex, texts: dict[str, Path], tell: Tell) -> None:
    stems = {path.stem for path in photos.photos.values()}
    if place.listing is None and (bare := sorted(stems - texts.keys())):
        reason = f"{len(bare)} photographs without a label file show none of the classes: {some(bare)}"
        tell(Problem(place.images, reason, "Write label files if they show any", "warning"))
    if lone := sorted(texts.keys() - stems - {"classes", "notes"}):
        reason = f"{len(lone)} label files without a photograph ({', '.join(PHOTO_SUFFIXES)}): {some(lone)}"
        tell(Problem(place.labels, reason, "Add the photographs if they should count", "warning"))


def read_label_file(path: Path, classes: int, tell: Tell = raise_errors) -> tuple[int, ...]:
    """Return the ascending 0-based classes of a label file; each line begins with one, boxes do not matter.

    Args:
        path: the file.
        classes: how many there are.
        tell: receives a line that does not begin with one of them, and a file that cannot be read.
    """
    try:
        lines = read_bounded(path, _MAX_LABEL_BYTES).decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = "not UTF-8 text" if isinstance(error, UnicodeDecodeError) else reason_of(error)
        tell(Problem(path, f"cannot be read as a label file: {reason}", "Restore the file"))
        return ()
    found: set[int] = set()
    for number, line in enumerate(lines, start=1):
        word = line.split(maxsplit=1)[0] if line.strip() else None
        if word is None:
            continue
        if not (word.isascii() and word.isdigit() and len(word) <= 4):
            tell(Problem(path, f"line {number}: begins with {word[:40]!r}, no number of a class", "Correct the line"))
        elif int(word) >= classes:
            reason = f"line {number}: class {int(word)}, but the names end at {classes - 1}"
            tell(Problem(path, reason, "Add its name to data.yaml, or correct the line"))
        else:
            found.add(int(word))
    return tuple(sorted(found))
