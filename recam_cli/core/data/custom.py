"""Your own photographs in VOC's layout (`--dataset custom`).

JPEGImages/<id>.jpg                    photographs: JPEG, PNG, BMP, WebP or TIFF
ImageSets/Segmentation/<split>.txt     the ids of a split, one per line: train.txt, and val.txt to hold out
labels.csv or labels.json              image-level labels, see core/data/labels.py
classes.txt                            class names, one per line; without it the label names, sorted
SegmentationClass/<id>.png             true masks, only where one evaluates
"""

from __future__ import annotations

from pathlib import Path

from recam_cli.core.bounded import is_there
from recam_cli.core.data.classes import CLASSES_NAME, read_classes
from recam_cli.core.data.labels import LabelTable, find_labels, read_labels
from recam_cli.core.data.layout import (
    IMAGES_FOLDER,
    MASKS_FOLDER,
    build_samples,
    find_list,
    index_masks,
    index_photos,
    list_names,
    read_list,
)
from recam_cli.core.data.problems import Tell, raise_errors
from recam_cli.core.data.samples import ImageSet
from recam_cli.core.errors import DataError

LISTS_FOLDER = Path("ImageSets") / "Segmentation"


def open_custom(root: Path, split: str, *, labels: Path | None = None, tell: Tell = raise_errors) -> ImageSet:
    """Read one split.

    Args:
        root: the folder that holds JPEGImages/.
        split: name of a list in ImageSets/Segmentation/.
        labels: a label file instead of that of `root`.
        tell: receives what a reader can step over; by default an error stops it.

    Raises:
        DataError: a folder, list or label file is missing or not of the layout above.
    """
    listing = find_list(root / LISTS_FOLDER, split)
    table = read_labels(labels or require_labels(root), tell)
    classes = classes_of(root, table)
    ids = {name: k for k, name in enumerate(classes)}
    samples = build_samples(
        read_list(listing),
        listing,
        index_photos(root / IMAGES_FOLDER),
        index_masks(root / MASKS_FOLDER),
        lambda image_id: table.labels_of(image_id, ids, tell),
        tell,
    )
    return ImageSet("custom", root, split, classes, samples)


def custom_splits(root: Path) -> tuple[str, ...]:
    """Return the names of the lists, `train` and `val` first."""
    names = list_names(root / LISTS_FOLDER)
    return tuple(sorted(names, key=lambda n: (n != "train", n != "val", n)))


def classes_of(root: Path, table: LabelTable) -> tuple[str, ...]:
    """Return the classes of `classes.txt` in `root`, or else the label names, sorted."""
    path = root / CLASSES_NAME
    return read_classes(path) if is_there(path) else table.vocabulary()


def require_labels(root: Path) -> Path:
    """Return the label file of `root`.

    Raises:
        DataError: there is none, or there are two.
    """
    found = find_labels(root)
    if found is None:
        raise DataError(
            f"{root}: no labels.csv or labels.json",
            remedy="Write labels.csv with the columns image,labels, or name a file with --labels",
        )
    return found
