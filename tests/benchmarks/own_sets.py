"""Sets of photographs as people have them, built from real data: a folder per class, few, negatives, large ones.

True masks lie beside them in SegmentationClass/, which only `recam evaluate` looks at.
"""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from recam_cli.core.data.custom import open_custom
from recam_cli.core.data.images import read_image, read_mask, write_image, write_mask
from recam_cli.core.data.samples import IGNORE, ImageSet

SIX = ("aeroplane", "car", "cat", "cow", "flower", "sheep")


def class_folders(out: Path, images: ImageSet, classes: tuple[str, ...], most: int, negatives: int = 0) -> Path:
    """Copy up to `most` photographs of each class, those with one label, into a folder per class; return `out`."""
    if out.is_dir():
        return out
    part = out.with_name(f"{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    values = {images.classes.index(name) + 1: k for k, name in enumerate(sorted(classes), start=1)}
    taken: Counter[str] = Counter()
    for sample in images:
        name = images.classes[sample.labels[0]] if len(sample.labels) == 1 else ""
        if name in classes and taken[name] < most:
            _copy(part, name, sample, values)
            taken[name] += 1
        elif name and name not in classes and taken["background"] < negatives:
            _copy(part, "background", sample, values)
            taken["background"] += 1
    part.rename(out)
    return out


def _copy(root: Path, name: str, sample, values: dict[int, int]) -> None:
    (root / name).mkdir(parents=True, exist_ok=True)
    (root / "SegmentationClass").mkdir(exist_ok=True)
    shutil.copy(sample.image, root / name / sample.image.name)
    mask = read_mask(sample.mask)
    kept = np.where(mask == IGNORE, IGNORE, 0).astype(np.uint8)
    for theirs, ours in values.items():
        kept[mask == theirs] = ours
    write_mask(root / "SegmentationClass" / f"{name}__{sample.id}.png", kept)


def enlarged(out: Path, source: Path, side: int) -> Path:
    """Copy class folders with each photograph enlarged to the longer side `side`, and its mask; return `out`."""
    if out.is_dir():
        return out
    part = out.with_name(f"{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    for path in sorted(source.glob("*/*")):
        target = part / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".png":
            mask = Image.open(path)
            factor = side / max(mask.size)
            size = round(mask.width * factor), round(mask.height * factor)
            write_mask(target, cv2.resize(read_mask(path), size, interpolation=cv2.INTER_NEAREST_EXACT))
        else:
            image = read_image(path)
            factor = side / max(image.shape[:2])
            size = round(image.shape[1] * factor), round(image.shape[0] * factor)
            write_image(target, cv2.resize(image, size, interpolation=cv2.INTER_CUBIC), quality=90)
    part.rename(out)
    return out


def random_labels(out: Path, source: Path, seed: int = 0) -> Path:
    """Copy class folders with the photographs dealt to the classes at random; return `out`."""
    if out.is_dir():
        return out
    part = out.with_name(f"{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    photos = [path for path in sorted(source.glob("*/*")) if path.suffix != ".png"]
    names = [path.parent.name for path in photos]
    for path, name in zip(photos, np.random.default_rng(seed).permutation(names), strict=True):
        (part / name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, part / name / path.name)
    part.rename(out)
    return out


def sets(out: Path, data: Path) -> dict[str, Path]:
    """Return the sets by name, built below `out` from `data` (with msrc/ and coco-mini/)."""
    msrc = open_custom(data / "msrc", "train")
    six = class_folders(out / "six", msrc, SIX, 18)
    return {
        "six folders": six,
        "coco-mini": data / "coco-mini",
        "msrc": data / "msrc",
        "14 x 5": class_folders(out / "14x5", msrc, tuple(msrc.classes), 5),
        "2 x 10": class_folders(out / "2x10", msrc, ("car", "cow"), 10),
        "1 x 30 + 30": class_folders(out / "1x30+30", msrc, ("car",), 30, negatives=30),
        "1 x 30": class_folders(out / "1x30", msrc, ("car",), 30),
    }
