"""The PASCAL VOC 2012 devkit (`--dataset voc`).

    JPEGImages/<id>.jpg                        photographs
    Annotations/<id>.xml                       objects, from which the image-level labels follow
    ImageSets/Segmentation/<split>.txt         train (1,464 images), val (1,449), trainval
    SegmentationClass/<id>.png                 true masks
    ImageSets/Segmentation/train_aug.txt or    optional: the 10,582 training images of the recipe, as ids or
    ImageSets/SegmentationAug/train_aug.txt    lines "/JPEGImages/<id>.jpg /SegmentationClassAug/<id>.png"
    SegmentationClassAug/<id>.png              optional: SBD's masks; without a list all but val's

Labels: as in the published label files, every object of the annotation counts, also those marked `difficult`
(`difficult=False` leaves those out, but never an image's only objects); parts such as heads do not.
`--labels` names a label file to be used instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from recam_cli.core.bounded import is_there
from recam_cli.core.data.annotations import read_annotation
from recam_cli.core.data.custom import LISTS_FOLDER
from recam_cli.core.data.ids import id_of
from recam_cli.core.data.labels import find_labels, read_labels
from recam_cli.core.data.layout import (
    IMAGES_FOLDER,
    MASKS_FOLDER,
    Listed,
    build_samples,
    file_names,
    find_list,
    index_masks,
    index_photos,
    read_list,
)
from recam_cli.core.data.problems import Problem, Tell, did_you_mean, raise_errors
from recam_cli.core.data.samples import ImageSet
from recam_cli.core.data.text import read_lines
from recam_cli.core.errors import DataError, one_line

VOC_CLASSES = (
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)
"""In alphabetical order, the order of mask values 1..20."""
VOC_SPLITS = ("train", "val", "train_aug", "trainval")
TRAIN_AUG = "train_aug"
AUG_MASKS_FOLDER = "SegmentationClassAug"
AUG_LISTS_FOLDER = Path("ImageSets") / "SegmentationAug"

_PAIR = re.compile(r"/?JPEGImages/(?P<image>.+)\.jpg\s+/?SegmentationClass(?:Aug)?/(?P<mask>.+)\.png")


def open_voc(
    root: Path,
    split: str,
    *,
    labels: Path | None = None,
    difficult: bool = True,
    tell: Tell = raise_errors,
) -> ImageSet:
    """Read one split of the devkit.

    Args:
        root: the folder VOC2012, or one that holds VOC2012 or VOCdevkit/VOC2012.
        split: "train", "val", "trainval", or "train_aug" where its masks or list are. True masks of train_aug
            come from SegmentationClassAug/ where it has them, else from SegmentationClass/.
        labels: a label file instead of Annotations/.
        difficult: whether objects marked difficult count as labels, as in the published label files. Without
            them, an image whose objects are all difficult keeps them.
        tell: receives what a reader can step over; by default an error stops it.

    Raises:
        DataError: a folder, list or label file is missing or not of the layout above.
    """
    root = devkit_root(root)
    source, listed = _listed(root, split, tell)
    folders = (AUG_MASKS_FOLDER, MASKS_FOLDER) if split == TRAIN_AUG else (MASKS_FOLDER,)
    samples = build_samples(
        listed,
        source,
        index_photos(root / IMAGES_FOLDER),
        index_masks(*(root / folder for folder in folders)),
        _labels_of(root, labels, difficult, tell),
        tell,
    )
    return ImageSet("voc", root, split, VOC_CLASSES, samples)


def devkit_root(root: Path) -> Path:
    """Return the folder with JPEGImages/: `root`, or VOC2012 or VOCdevkit/VOC2012 in it; else `root`."""
    inner = (root, root / "VOC2012", root / "VOCdevkit" / "VOC2012")
    return next((path for path in inner if (path / IMAGES_FOLDER).is_dir()), root)


def voc_splits(root: Path) -> tuple[str, ...]:
    """Return the splits that are there."""
    root = devkit_root(root)
    has = {s: (root / LISTS_FOLDER / f"{s}.txt").is_file() for s in VOC_SPLITS}
    has[TRAIN_AUG] = _aug_list(root) is not None or (root / AUG_MASKS_FOLDER).is_dir()
    return tuple(split for split in VOC_SPLITS if has[split])


def _listed(root: Path, split: str, tell: Tell) -> tuple[Path, list[Listed]]:
    if split not in VOC_SPLITS:
        remedy = did_you_mean(split, VOC_SPLITS) or f"Choose one of {', '.join(VOC_SPLITS)}"
        raise DataError(f"{root}: VOC has no split {split!r}", remedy=remedy)
    if split != TRAIN_AUG:
        listing = find_list(root / LISTS_FOLDER, split)
        return listing, read_list(listing)
    path = _aug_list(root)
    if path is not None:
        return path, _read_aug_list(path, tell)
    masks = root / AUG_MASKS_FOLDER
    if not masks.is_dir():
        raise DataError(
            f"{root}: no split train_aug",
            remedy=f"Add {AUG_LISTS_FOLDER / 'train_aug.txt'}, or put SBD's masks into {AUG_MASKS_FOLDER}/",
        )
    held_out = {item.id for item in read_list(find_list(root / LISTS_FOLDER, "val"))}
    ids = (id_of(name) for name in file_names(masks) if name.lower().endswith(".png"))
    return masks, [Listed(i) for i in ids if i not in held_out]


def _aug_list(root: Path) -> Path | None:
    places = (root / LISTS_FOLDER / "train_aug.txt", root / AUG_LISTS_FOLDER / "train_aug.txt")
    return next((path for path in places if is_there(path)), None)


def _read_aug_list(path: Path, tell: Tell) -> list[Listed]:
    """Read bare ids, or pairs of image and mask paths, of which only the ids are used."""
    listed = []
    for number, line in enumerate(read_lines(path, "list of images"), start=1):
        pair = _PAIR.fullmatch(line.strip())
        if pair is None:
            if line.strip():
                listed.append(Listed(id_of(line.strip()), f"line {number}"))
        elif pair["image"] != pair["mask"]:
            reason = f"line {number}: image {pair['image']!r} with the mask of {pair['mask']!r}"
            tell(Problem(path, reason, "Correct the line"))
        else:
            listed.append(Listed(pair["image"], f"line {number}"))
    return listed


def _labels_of(root: Path, labels: Path | None, difficult: bool, tell: Tell) -> Callable[[str], tuple[int, ...]]:
    ids = {name: k for k, name in enumerate(VOC_CLASSES)}
    folder = root / "Annotations"
    path = labels or (None if folder.is_dir() else find_labels(root))
    if path is not None:
        table = read_labels(path, tell)
        return lambda image_id: table.labels_of(image_id, ids, tell)
    if not folder.is_dir():
        raise DataError(
            f"{root}: no image-level labels",
            remedy="Put the devkit's Annotations/ there, or name a file with --labels",
        )
    return lambda image_id: _annotated(folder / f"{image_id}.xml", ids, difficult, tell)


def _annotated(path: Path, ids: dict[str, int], difficult: bool, tell: Tell) -> tuple[int, ...]:
    try:
        objects = read_annotation(path)
    except DataError as error:
        tell(Problem(path, error.message.removeprefix(f"{one_line(str(path))}: "), error.remedy or "Restore the file"))
        return ()
    kept = objects if difficult else (tuple(o for o in objects if not o.difficult) or objects)
    found = set()
    for name in dict.fromkeys(o.name for o in kept):
        if name in ids:
            found.add(ids[name])
        else:
            tell(
                Problem(
                    path,
                    f"unknown object {name!r}",
                    did_you_mean(name, ids) or "Only VOC's 20 classes can occur",
                )
            )
    return tuple(sorted(found))
