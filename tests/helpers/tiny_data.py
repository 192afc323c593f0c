"""Small generated data sets for tests, in every layout recam reads: rectangles on noise, with exact masks.

Each maker fills `root`, and returns it. Image i carries class i mod K, and every third image a second one,
so that multi-label images occur. Everything follows from `seed`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from recam_cli.core.data.images import write_image, write_mask

TINY_CLASSES = ("bus", "cat", "dog")
TINY_SIZE = (40, 48)


def draw_photo(
    labels: Sequence[int], *, size: tuple[int, int] = TINY_SIZE, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Draw one rectangle per label on noise; each class has its own colour.

    Args:
        labels: 0-based class ids, drawn from left to right.
        size: (H, W) in pixels.
        seed: of the noise and the rectangles' heights.

    Returns:
        The photograph, uint8 (H, W, 3), and its mask, uint8 (H, W) of 0 and label + 1, with a frame of 255
        (one pixel wide) around each rectangle as VOC draws it.
    """
    rng = np.random.default_rng(seed)
    height, width = size
    photo = rng.integers(90, 140, (height, width, 3), dtype=np.uint8)
    mask = np.zeros((height, width), dtype=np.uint8)
    step = width // max(1, len(labels))
    for column, label in enumerate(labels):
        left, right = column * step + step // 6, (column + 1) * step - step // 6
        top = int(rng.integers(height // 8, height // 3))
        bottom = int(rng.integers(height * 2 // 3, height * 7 // 8))
        mask[max(0, top - 1) : bottom + 1, max(0, left - 1) : right + 1] = 255
        mask[top:bottom, left:right] = label + 1
        colour = np.array([(label * 97 + 40) % 256, (label * 57 + 200) % 256, (label * 151 + 20) % 256])
        texture = rng.integers(-12, 13, (bottom - top, right - left, 3))
        photo[top:bottom, left:right] = np.clip(colour + texture, 0, 255)
    return photo, mask


def tiny_labels(n: int, classes: int = len(TINY_CLASSES)) -> list[tuple[int, ...]]:
    """Return the ascending 0-based labels of images 0..n-1: one each, two for every third image."""
    return [tuple(sorted({i % classes, (i + 1) % classes})) if i % 3 == 2 else (i % classes,) for i in range(n)]


def tiny_ids(n: int, prefix: str = "img_") -> list[str]:
    """Return the ids of the generated images: img_000, img_001, …"""
    return [f"{prefix}{i:03d}" for i in range(n)]


def make_custom(
    root: Path,
    n: int = 6,
    size: tuple[int, int] = TINY_SIZE,
    *,
    classes: Sequence[str] = TINY_CLASSES,
    splits: Mapping[str, Sequence[int]] | None = None,
    masks: bool = True,
    suffix: str = ".jpg",
    seed: int = 0,
) -> Path:
    """Write a `custom` data set: JPEGImages/, SegmentationClass/, ImageSets/, labels.csv and classes.txt.

    Args:
        root: folder to fill; made if needed.
        n: number of images.
        size: (H, W) of all of them.
        classes: class names, in the order of mask values 1, 2, …
        splits: image numbers per split; by default the first two thirds are `train`, the others `val`.
        masks: whether SegmentationClass/ is written.
        suffix: of the photographs.
        seed: of everything drawn.
    """
    labels, ids = tiny_labels(n, len(classes)), tiny_ids(n)
    _write_photos(root, ids, labels, size, masks, suffix, seed)
    _write_lists(root, ids, splits if splits is not None else _thirds(n))
    rows = [f"{id_},{';'.join(classes[k] for k in ks)}" for id_, ks in zip(ids, labels, strict=True)]
    (root / "labels.csv").write_text("\n".join(["image,labels", *rows]) + "\n", encoding="utf-8")
    (root / "classes.txt").write_text("\n".join(classes) + "\n", encoding="utf-8")
    return root


def make_voc(
    root: Path,
    n: int = 6,
    size: tuple[int, int] = TINY_SIZE,
    *,
    splits: Mapping[str, Sequence[int]] | None = None,
    used: int = 3,
    aug: bool = False,
    seed: int = 0,
) -> Path:
    """Write a VOC 2012 devkit folder with Annotations/*.xml; of VOC's 20 classes only the first `used` occur.

    Args:
        root: becomes the folder VOC2012 itself.
        n: number of images.
        size: (H, W) of all of them.
        splits: image numbers per split; by default the first two thirds are `train`, the others `val`.
        used: number of classes that occur.
        aug: also write SegmentationClassAug/ and ImageSets/SegmentationAug/train_aug.txt (two columns),
            holding all images outside `val`.
        seed: of everything drawn.
    """
    from recam_cli.core.data.voc import VOC_CLASSES

    labels = tiny_labels(n, used)
    ids = [f"2007_{i:06d}" for i in range(n)]
    splits = splits if splits is not None else _thirds(n)
    _write_photos(root, ids, labels, size, True, ".jpg", seed)
    _write_lists(root, ids, splits)
    (root / "Annotations").mkdir(parents=True, exist_ok=True)
    for id_, present in zip(ids, labels, strict=True):
        xml = annotation_xml(id_, [(VOC_CLASSES[k], False) for k in present])
        (root / "Annotations" / f"{id_}.xml").write_text(xml, encoding="utf-8")
    if aug:
        held_out = set(splits.get("val", ()))
        rows = []
        for i, id_ in enumerate(ids):
            if i not in held_out:
                write_mask(
                    root / "SegmentationClassAug" / f"{id_}.png",
                    draw_photo(labels[i], size=size, seed=seed + i)[1],
                )
                rows.append(f"/JPEGImages/{id_}.jpg /SegmentationClassAug/{id_}.png")
        listing = root / "ImageSets" / "SegmentationAug" / "train_aug.txt"
        listing.parent.mkdir(parents=True, exist_ok=True)
        listing.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return root


def annotation_xml(image_id: str, objects: Sequence[tuple[str, bool]]) -> str:
    """Return a VOC annotation naming `objects`, each with its `difficult` flag; each has one part, a head."""
    parts = "".join(
        f"<object><name>{name}</name><difficult>{int(difficult)}</difficult>"
        "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>"
        "<part><name>head</name></part></object>"
        for name, difficult in objects
    )
    return f"<annotation><filename>{image_id}.jpg</filename>{parts}</annotation>"


def make_folder(
    root: Path,
    n: int = 6,
    size: tuple[int, int] = TINY_SIZE,
    *,
    classes: Sequence[str] = TINY_CLASSES,
    suffix: str = ".jpg",
    seed: int = 0,
) -> Path:
    """Write one folder per class; image i lies in the folder of class i mod K."""
    for i, id_ in enumerate(tiny_ids(n)):
        k = i % len(classes)
        photo, _ = draw_photo((k,), size=size, seed=seed + i)
        write_image(root / classes[k] / f"{id_}{suffix}", photo)
    return root


def make_flat(
    root: Path,
    n: int = 6,
    size: tuple[int, int] = TINY_SIZE,
    *,
    classes: Sequence[str] = TINY_CLASSES,
    suffix: str = ".jpg",
    seed: int = 0,
) -> Path:
    """Write a flat folder of photographs beside a labels.csv."""
    labels, ids = tiny_labels(n, len(classes)), tiny_ids(n)
    for i, id_ in enumerate(ids):
        write_image(root / f"{id_}{suffix}", draw_photo(labels[i], size=size, seed=seed + i)[0])
    rows = [f"{id_}{suffix},{';'.join(classes[k] for k in ks)}" for id_, ks in zip(ids, labels, strict=True)]
    (root / "labels.csv").write_text("\n".join(["image,labels", *rows]) + "\n", encoding="utf-8")
    return root


def _thirds(n: int) -> dict[str, Sequence[int]]:
    cut = max(1, n * 2 // 3)
    return {"train": range(cut), "val": range(cut, n)}


def _write_photos(
    root: Path,
    ids: Sequence[str],
    labels: Sequence[tuple[int, ...]],
    size: tuple[int, int],
    masks: bool,
    suffix: str,
    seed: int,
) -> None:
    for i, (id_, present) in enumerate(zip(ids, labels, strict=True)):
        photo, mask = draw_photo(present, size=size, seed=seed + i)
        write_image(root / "JPEGImages" / f"{id_}{suffix}", photo)
        if masks:
            write_mask(root / "SegmentationClass" / f"{id_}.png", mask)


def _write_lists(root: Path, ids: Sequence[str], splits: Mapping[str, Sequence[int]]) -> None:
    folder = root / "ImageSets" / "Segmentation"
    folder.mkdir(parents=True, exist_ok=True)
    for split, numbers in splits.items():
        text = "".join(f"{ids[i]}\n" for i in numbers)
        (folder / f"{split}.txt").write_text(text, encoding="utf-8")
