"""The data sets by name. A new one is one file with an `open_…` and a `…_splits`, and one line here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from recam_cli.core.data.coco import COCO_PLACE, coco_places, coco_splits, open_coco
from recam_cli.core.data.custom import custom_splits, open_custom
from recam_cli.core.data.folder import folder_splits, has_own_split, open_folder
from recam_cli.core.data.own_split import splits_itself
from recam_cli.core.data.problems import Tell, raise_errors
from recam_cli.core.data.samples import ImageSet
from recam_cli.core.data.voc import open_voc, voc_splits
from recam_cli.core.data.yolo import YOLO_PLACE, open_yolo, yolo_places, yolo_splits
from recam_cli.core.errors import DataError, UsageError
from recam_cli.core.reporter import Reporter
from recam_cli.core.settings.groups import DataSettings

SPLITS = ("train", "val", "train_aug", "trainval")
"""The usual split names; a custom data set may have others."""

Opener = Callable[[Path, str, Path | None, Tell], ImageSet]


@dataclass(frozen=True)
class DatasetKind:
    """How one kind of data set is found and read.

    Attributes:
        open: reads one split from (root, split, label file or None, tell).
        splits: names the splits below a root, those that train first.
        roots: where it is looked for without `--data-root`.
        place: what belongs there, for the message when it is missing.
        generated: whether recam makes it itself, so that its folder need not exist.
        splits_itself: says whether the data set has train and val of its own, where recam otherwise holds a part out;
            None where it always has.
    """

    open: Opener
    splits: Callable[[Path], tuple[str, ...]]
    roots: tuple[Path, ...]
    place: str
    generated: bool = False
    splits_itself: Callable[[Path], bool] | None = None


def _open_shapes(root: Path, split: str, labels: Path | None, tell: Tell) -> ImageSet:
    from recam_cli.core.data.shapes import open_shapes

    if labels is not None:
        raise UsageError("--labels does not go with --dataset shapes", remedy="Its labels are generated: drop --labels")
    return open_shapes(root, split)


DATASETS: dict[str, DatasetKind] = {
    "custom": DatasetKind(
        lambda root, split, labels, tell: open_custom(root, split, labels=labels, tell=tell),
        custom_splits,
        (Path("data/custom"),),
        "JPEGImages/, ImageSets/Segmentation/train.txt and labels.csv",
    ),
    "voc": DatasetKind(
        lambda root, split, labels, tell: open_voc(root, split, labels=labels, tell=tell),
        voc_splits,
        (Path("data/VOCdevkit/VOC2012"), Path("data/VOC2012")),
        "the VOC 2012 devkit (JPEGImages/, Annotations/, ImageSets/, SegmentationClass/)",
    ),
    "folder": DatasetKind(
        lambda root, split, labels, tell: open_folder(root, split, labels=labels, tell=tell),
        folder_splits,
        (Path("data/folder"),),
        "one folder of photographs per class, or photographs and labels.csv",
        splits_itself=lambda root: not has_own_split(root),
    ),
    "coco": DatasetKind(
        open_coco,
        coco_splits,
        (Path("data/coco"),),
        COCO_PLACE,
        splits_itself=lambda root: splits_itself(coco_places(root)),
    ),
    "yolo": DatasetKind(
        open_yolo,
        yolo_splits,
        (Path("data/yolo"),),
        YOLO_PLACE,
        splits_itself=lambda root: splits_itself(yolo_places(root)),
    ),
    "shapes": DatasetKind(
        _open_shapes,
        lambda root: ("train", "val"),
        (Path("data/shapes"),),
        "generated images",
        generated=True,
    ),
}


def open_dataset(settings: DataSettings, split: str, *, tell: Tell = raise_errors) -> ImageSet:
    """Read one split of the data set that the settings name.

    Args:
        settings: which data set, where, and which label file.
        split: e.g. "train".
        tell: receives what a reader can step over; by default an error stops it.

    Raises:
        DataError: the folder is missing (the message says what to put where), or as the data set's reader.
    """
    with _system_errors():
        if settings.labels is not None and not settings.labels.is_file():
            raise DataError(f"{settings.labels}: no such label file", remedy="Correct --labels")
    with _system_errors():
        return DATASETS[settings.dataset].open(data_root(settings), split, settings.labels, tell)


def fetch(settings: DataSettings, reporter: Reporter) -> None:
    """Download the data set, as `--download` asks for.

    Raises:
        UsageError: there is no download of this kind of data set.
        DataError: the download failed.
    """
    if settings.dataset != "voc":
        raise UsageError(f"--download: there is nothing to fetch for {settings.dataset}", remedy="It goes with voc")
    from recam_cli.core.data.voc_download import download_voc

    download_voc(settings.data_root or Path("data"), reporter=reporter)


def available_splits(settings: DataSettings) -> tuple[str, ...]:
    """Return the names of the splits there are, those that train first; errors as `data_root`."""
    with _system_errors():
        return DATASETS[settings.dataset].splits(data_root(settings))


def labelled_split(settings: DataSettings, split: str) -> str:
    """Return the split that holds every labelled photograph to make masks for, where `split` is trained on.

    That is "all" where recam itself holds some of the photographs out; errors as `data_root`.
    """
    with _system_errors():
        root = data_root(settings)
        own = DATASETS[settings.dataset].splits_itself
        return "all" if split == "train" and own is not None and not own(root) else split


def data_root(settings: DataSettings) -> Path:
    """Return the data set's folder: `--data-root`, or the first default place that exists.

    Raises:
        DataError: it does not exist; the message says what to put where.
    """
    kind = DATASETS[settings.dataset]
    given = settings.data_root
    places = (given,) if given is not None else kind.roots
    for place in places:
        with _system_errors():
            if place.is_dir() or kind.generated:
                return place
            if place.exists():
                raise DataError(f"{place}: not a folder", remedy=f"Give a folder with {kind.place}")
    where = " or ".join(str(p) for p in places)
    remedy = f"Put {kind.place} there"
    if given is None:
        remedy += ", or name its folder with --data-root"
    if settings.dataset == "voc":
        remedy += ", or fetch it (2 GB) with --download"
    raise DataError(f"no {settings.dataset} data set at {where}", remedy=remedy)


@contextmanager
def _system_errors() -> Iterator[None]:
    """Turn what the system says of a path, as "File name too long" or "Permission denied", into a DataError."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{error.filename}: {error.strerror}", remedy="Correct the path or its permissions") from error
