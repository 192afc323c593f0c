"""The demo's contact sheet: for some images CAM's and ReCAM's map of one class, seed, mask, prediction and truth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from recam_cli.core.cams.store import Seed, read_seed
from recam_cli.core.data.images import read_image, read_mask
from recam_cli.core.data.palette import PALETTE
from recam_cli.core.data.samples import IGNORE, ImageSet, Sample
from recam_cli.core.errors import RunError
from recam_cli.core.metrics.confusion import ConfusionMatrix
from recam_cli.core.metrics.sources import noted_threshold
from recam_cli.core.models.run_models import run_segmenter
from recam_cli.core.models.segment_inference import predict_image
from recam_cli.core.report.canvas import fitted_size, scaled
from recam_cli.core.report.legend import HEAT_ENTRY, LegendEntry
from recam_cli.core.report.overlay import heat_overlay, mask_overlay
from recam_cli.core.report.panels import MAX_ASPECT, Panel
from recam_cli.core.report.sheet import contact_sheet
from recam_cli.core.runs.run import Run

HEIGHT = 150
LETTERS = 20
"""Large for such small pictures: the sheet is eight columns wide and is shown at half its size."""
COLUMNS = ("photograph", "CAM", "ReCAM", "CAM seed", "ReCAM seed", "mask", "segmenter", "truth")
_VIVID = ("d62828", "1d6fd8", "1fa64a", "8e3fc0", "ff9f0a", "0fb5c4", "e6399b", "7a4a1e")


def _vivid_palette() -> np.ndarray:
    """Return the palette with colours for the first classes that are told apart at a glance, uint8 (256, 3)."""
    palette = PALETTE.copy()
    for value, colour in enumerate(_VIVID, start=1):
        palette[value] = np.frombuffer(bytes.fromhex(colour), dtype=np.uint8)
    return palette


class ComparisonSheet:
    """Draws one sheet of a ReCAM run that also holds the seeds of its plain CAM.

    Args:
        run: with finished make-seeds, make-seeds-cam, make-masks, make-masks-cam and train-seg.
        device: the segmenter predicts there.
        precision: "fp32" or "bf16".
    """

    def __init__(self, run: Run, device: torch.device, precision: str) -> None:
        self._run, self._precision = run, precision
        self._segmenter = run_segmenter(run, "", device)
        self._methods = tuple((f"seeds{suffix}", _threshold(run, f"make-masks{suffix}")) for suffix in ("-cam", ""))
        self._palette = _vivid_palette()
        self._shown: set[int] = set()

    def draw(self, images: ImageSet, samples: Sequence[Sample]) -> np.ndarray:
        """Return the sheet, uint8 (H, W, 3), with one row per sample of `images`."""
        rows = [self._row(images, sample) for sample in samples]
        ids = sorted(value - 1 for value in self._shown if value not in (0, IGNORE))
        swatches = [LegendEntry(images.classes[k], self._colour(k)) for k in ids if k < len(images.classes)]
        return contact_sheet(
            rows,
            header=f"{len(rows)} of {len(images)} training images, chosen by their labels alone: two classes, "
            "each class in turn. %: mean IoU with the truth",
            columns=COLUMNS,
            legend=[*swatches, HEAT_ENTRY],
            height=HEIGHT,
            letter_size=LETTERS,
        )

    def _colour(self, class_id: int) -> tuple[int, int, int]:
        red, green, blue = (int(part) for part in self._palette[class_id + 1])
        return red, green, blue

    def _row(self, images: ImageSet, sample: Sample) -> list[Panel | None]:
        full = read_image(sample.image)
        photo = scaled(full, fitted_size(full.shape, HEIGHT, round(HEIGHT * MAX_ASPECT)))
        truth = None if sample.mask is None else read_mask(sample.mask)
        seeds = [read_seed(self._run.path / folder / f"{sample.id}.npz") for folder, _ in self._methods]
        shown = sample.labels[0]
        names = ", ".join(images.classes[k] for k in sample.labels)
        panels: list[Panel | None] = [Panel(names, photo)]
        panels += [Panel(images.classes[shown], heat_overlay(photo, _map_of(seed, shown))) for seed in seeds]
        masks = [seed.label(threshold) for seed, (_, threshold) in zip(seeds, self._methods, strict=True)]
        masks.append(read_mask(self._run.path / "masks" / f"{sample.id}.png"))
        masks.append(self._prediction(full))
        panels += [self._mask(photo, mask, truth) for mask in masks]
        panels.append(None if truth is None else self._mask(photo, truth, None))
        return panels

    def _prediction(self, image: np.ndarray) -> np.ndarray:
        if self._segmenter is None:
            return np.zeros(image.shape[:2], dtype=np.uint8)
        return predict_image(self._segmenter[0], image, precision=self._precision)[0]

    def _mask(self, photo: np.ndarray, mask: np.ndarray, truth: np.ndarray | None) -> Panel:
        """Return a mask over its photograph; its title is what it scores where there is a truth to score it with."""
        self._shown |= {int(value) for value in np.unique(mask)}
        small = scaled(mask, (photo.shape[0], photo.shape[1]), labels=True)
        title = "" if truth is None else f"{mean_iou(truth, mask):.0f} %"
        return Panel(title, mask_overlay(photo, small, self._palette))


def mean_iou(truth: np.ndarray, mask: np.ndarray) -> float:
    """Return the mean IoU in percent of the values that the truth holds, 255 as in evaluation.

    A class that is not in the image lowers the IoU of what it was taken for; counted on its own, a few of its pixels
    would say 0 as loudly as a whole object does.

    Args:
        truth: uint8 (H, W).
        mask: uint8 (H, W).
    """
    matrix = ConfusionMatrix(IGNORE)
    matrix.update(truth, mask)
    present = matrix.counts.sum(axis=1) > 0
    return float(100 * matrix.scores().iou[present].mean())


def _threshold(run: Run, stage: str) -> float:
    threshold, _ = noted_threshold(run, stage)
    if threshold is None:
        raise RunError(
            f"{run.path}: the manifest notes no threshold of {stage}", remedy="Run: recam make-masks --overwrite"
        )
    return threshold


def telling_samples(images: ImageSet, count: int) -> list[Sample]:
    """Return `count` samples (all, where there are fewer) that show what the methods differ in.

    First those with two labels, each time of the first class that has been shown least; the choice sees labels only,
    neither truth nor results.
    """
    left = list(images.samples)
    counts = dict.fromkeys(range(len(images.classes)), 0)
    chosen: list[Sample] = []
    while left and len(chosen) < count:
        best = min(left, key=lambda s: (abs(len(s.labels) - 2), counts[s.labels[0]] if s.labels else count))
        left.remove(best)
        chosen.append(best)
        if best.labels:
            counts[best.labels[0]] += 1
    return chosen


def _map_of(seed: Seed, class_id: int) -> np.ndarray:
    found = np.flatnonzero(seed.classes == class_id)
    return seed.maps[int(found[0])] if len(found) else np.zeros(seed.maps.shape[1:], dtype=np.float32)
