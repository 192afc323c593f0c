"""The `shapes` data set on disk: drawn once below a folder, in the layout of a `custom` data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from recam_cli.core.bounded import read_json
from recam_cli.core.data.images import read_mask, write_image, write_mask
from recam_cli.core.data.samples import BACKGROUND, ImageSet, Sample
from recam_cli.core.data.shapes.objects import CLASSES
from recam_cli.core.data.shapes.scene import render_scene
from recam_cli.core.data.shapes.spec import GENERATOR_VERSION, ShapesSpec
from recam_cli.core.errors import DataError, UsageError
from recam_cli.core.runs.files import write_json, write_text
from recam_cli.core.runs.leftovers import TEMPORARY_SUFFIX

SPLITS = ("train", "val")
RECORD_NAME = "shapes.json"
"""Written last: where it stands, the set is complete."""
UNFINISHED_NAME = "shapes-unfinished.json"
"""Written first and removed at the end: where it stands, generation was cut short and goes on."""
_QUALITY = 92


def open_shapes(root: Path, split: str, spec: ShapesSpec | None = None) -> ImageSet:
    """Open the generated data set below `root`, drawing what is missing.

    Args:
        root: its folder; made if missing. Only an empty folder or one with a `shapes` set is accepted.
        split: "train" or "val".
        spec: what it must have been made from; None takes the set that is there, and makes a missing one
            from the default spec.

    Returns:
        the split; every sample has a true mask.

    Raises:
        DataError: `root` holds something else, or a set made from another spec; the split is unknown;
            a mask is damaged.
        RunError: the folder cannot be written.
    """
    if split not in SPLITS:
        raise DataError(f"shapes: no split {split}", remedy=f"Choose one of {', '.join(SPLITS)}")
    made_from = _settle(root, spec)
    samples: dict[str, tuple[Sample, ...]] = {name: _ensure_split(root, made_from, name) for name in SPLITS}
    _write_lists(root, samples)
    if not (root / RECORD_NAME).is_file():
        write_json(root / RECORD_NAME, {**made_from.as_dict(), "classes": list(CLASSES), "counts": _counts(samples)})
    (root / UNFINISHED_NAME).unlink(missing_ok=True)
    return ImageSet("shapes", root, split, CLASSES, samples[split])


def spec_of(root: Path) -> ShapesSpec | None:
    """Return what the set at `root`, whole or cut short, is made from; None where there is none.

    Raises:
        DataError: its record is damaged, or of another version of the generator.
    """
    records = (root / name for name in (RECORD_NAME, UNFINISHED_NAME))
    return next((_read_record(record) for record in records if record.is_file()), None)


def _settle(root: Path, spec: ShapesSpec | None) -> ShapesSpec:
    """Return the spec of the set at `root`, after checking that the folder is ours or free."""
    if root.exists() and not root.is_dir():
        raise DataError(f"{root}: not a folder", remedy="Choose another --data-root")
    found = spec_of(root)
    if found is not None and spec is not None and found != spec:
        raise DataError(
            f"{root}: holds a shapes set made from {_words(found)}, not {_words(spec)}",
            remedy="Delete the folder or choose another --data-root",
        )
    if found is not None:
        return found
    if root.exists() and not all(path.name.endswith(TEMPORARY_SUFFIX) for path in root.iterdir()):
        raise DataError(
            f"{root}: holds other files and no {RECORD_NAME}", remedy="Choose an empty folder as --data-root"
        )
    chosen = spec or ShapesSpec()
    write_json(root / UNFINISHED_NAME, chosen.as_dict())
    return chosen


def _read_record(path: Path) -> ShapesSpec:
    try:
        record = read_json(path)
        height, width = record["size"]
        numbers = (record["seed"], record["train"], record["val"], height, width)
        if not all(type(number) is int for number in numbers):
            raise ValueError("seed, counts and size are not whole numbers")
        spec = ShapesSpec(*numbers[:3], (height, width))
    except (OSError, ValueError, KeyError, TypeError, UsageError) as error:
        raise DataError(
            f"{path}: not a record of a shapes set: {error}", remedy="Delete the folder, it is made anew"
        ) from error
    if record.get("generator") != GENERATOR_VERSION:
        raise DataError(
            f"{path}: made by generator version {record.get('generator')}, this is {GENERATOR_VERSION}",
            remedy="Delete the folder, it is made anew",
        )
    return spec


def _words(spec: ShapesSpec) -> str:
    return f"seed {spec.seed}, {spec.train}+{spec.val} images of {spec.size[0]}×{spec.size[1]}"


def _ensure_split(root: Path, spec: ShapesSpec, split: str) -> tuple[Sample, ...]:
    """Return a split's samples after drawing those whose files are missing."""
    samples = []
    for index in range(spec.count(split)):
        name = f"{split}_{index:04d}"
        image, mask = root / "JPEGImages" / f"{name}.jpg", root / "SegmentationClass" / f"{name}.png"
        if image.is_file() and mask.is_file():
            labels = tuple(int(value) - 1 for value in np.unique(read_mask(mask)) if value != BACKGROUND)
        else:
            # each image has its own generator, so that any one of them can be drawn alone
            rng = np.random.default_rng([spec.seed, SPLITS.index(split), index])
            pixels, classes, labels = render_scene(rng, spec)
            write_image(image, pixels, quality=_QUALITY)
            write_mask(mask, classes)
        samples.append(Sample(name, image, labels, mask))
    return tuple(samples)


def _write_lists(root: Path, samples: dict[str, tuple[Sample, ...]]) -> None:
    """Write the split lists, the image-level labels and the class names, where they are missing."""
    texts: dict[Path, str] = {root / "classes.txt": "\n".join(CLASSES) + "\n"}
    rows = ["image,labels"]
    for split, members in samples.items():
        lines = "".join(f"{sample.id}\n" for sample in members)
        texts[root / "ImageSets" / "Segmentation" / f"{split}.txt"] = lines
        rows += [f"{sample.id},{' '.join(CLASSES[label] for label in sample.labels)}" for sample in members]
    texts[root / "labels.csv"] = "\n".join(rows) + "\n"
    for path, text in texts.items():
        if not path.is_file():
            write_text(path, text)


def _counts(samples: dict[str, tuple[Sample, ...]]) -> dict[str, dict[str, int]]:
    """Return, per split, the images that show each class."""
    return {
        split: {name: sum(k in sample.labels for sample in members) for k, name in enumerate(CLASSES)}
        for split, members in samples.items()
    }
