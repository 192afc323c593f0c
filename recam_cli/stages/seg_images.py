"""Part of train-seg: which images and masks train the segmenter, and which images it predicts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from recam_cli.core.data.images import read_size
from recam_cli.core.data.registry import available_splits, open_dataset
from recam_cli.core.data.samples import ImageSet
from recam_cli.core.errors import DataError, RunError
from recam_cli.core.reporter import Reporter
from recam_cli.core.runs.run import Run
from recam_cli.core.runs.variants import command, require_variant, variant_suffix
from recam_cli.core.runs.verify import check_items
from recam_cli.core.settings.train_seg import TrainSegSettings

TRUTH = "-truth"
"""What the names of stage and folders end in where true masks train."""


def source_of_masks(settings: TrainSegSettings, run: Run) -> tuple[str, Path | None, dict[str, str]]:
    """Return the suffix of folders and stage, the folder of pseudo masks (None: the true ones), and its origin.

    Raises:
        RunError: the masks have not been made.
    """
    if settings.labels == "truth":
        return TRUTH, None, {}
    suffix = variant_suffix(run, settings.method)
    stage = "make-masks" + suffix
    return suffix, run.path / f"masks{suffix}", {stage: require_variant(run, "make-masks", suffix).fingerprint}


def label_file(settings: TrainSegSettings, run: Run) -> Path | None:
    """Return the label file of train-cls, where that was about the same data set."""
    entry = run.entry("train-cls")
    same = entry is not None and entry.settings.get("dataset") == settings.dataset
    labels = entry.settings.get("labels") if entry is not None and same else None
    return Path(labels) if isinstance(labels, str) else None


def with_pseudo_masks(images: ImageSet, folder: Path, run: Run, suffix: str) -> ImageSet:
    """Return the images with their pseudo masks.

    Raises:
        RunError: one is missing, or has changed since it was made.
    """
    stage, again = "make-masks" + suffix, command(run, "make-masks", suffix)
    masks = {sample.id: folder / f"{sample.id}.png" for sample in images}
    missing = [name for name, mask in masks.items() if not mask.is_file()]
    if missing:
        raise RunError(f"{folder}: no mask of image {missing[0]} of split {images.split}", remedy=f"Run: {again}")
    remedy = f"Make it anew: {again}; edited masks train as true masks of a data set of your own (--labels truth)"
    check_items(run, stage, "masks", masks.values(), remedy=remedy)
    return replace(images, samples=tuple(replace(sample, mask=masks[sample.id]) for sample in images))


def check_sizes(images: ImageSet, max_pixels: int) -> None:
    """Compare each mask's size with its image's; only headers are read.

    Raises:
        DataError: they differ, or there are no images.
    """
    if not len(images):
        raise DataError(f"{images.root}: split {images.split} has no images", remedy="Choose another --split")
    for sample in images:
        if sample.mask is None:
            continue
        wanted, found = (read_size(path, max_pixels=max_pixels) for path in (sample.image, sample.mask))
        if wanted != found:
            raise DataError(
                f"{sample.mask}: {found[1]}×{found[0]} pixels, but its image has {wanted[1]}×{wanted[0]}",
                remedy="Make the masks anew from these images",
            )


def held_out(settings: TrainSegSettings, reporter: Reporter) -> ImageSet | None:
    """Return the split to predict; None where none is wanted, or, which is told, the data set has none of that name."""
    split = settings.predict_split
    if split == "none":
        return None
    if split not in available_splits(settings.data):
        reporter.warn(f"the data set has no split {split}, so nothing is predicted; see --predict-split")
        return None
    return open_dataset(settings.data, split)
