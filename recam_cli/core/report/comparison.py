"""The demo's contact sheet: for some images CAM's and ReCAM's map of one class, seed, mask, prediction and truth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from recam_cli.core.cams.store import Seed, read_seed
from recam_cli.core.data.images import read_image, read_mask
from recam_cli.core.data.samples import IGNORE, ImageSet, Sample
from recam_cli.core.errors import RunError
from recam_cli.core.metrics.sources import noted_threshold
from recam_cli.core.models.run_models import run_segmenter
from recam_cli.core.models.segment_inference import predict_image
from recam_cli.core.report.canvas import fitted_size, scaled
from recam_cli.core.report.legend import HEAT_ENTRY, class_entries
from recam_cli.core.report.overlay import heat_overlay, mask_overlay
from recam_cli.core.report.panels import MAX_ASPECT, Panel
from recam_cli.core.report.sheet import contact_sheet
from recam_cli.core.runs.run import Run

HEIGHT = 170
COLUMNS = ("photograph", "CAM", "ReCAM", "seed", "mask", "segmenter", "truth")


class ComparisonSheet:
    """Draws one sheet of a ReCAM run that also holds the seeds of its plain CAM.

    Args:
        run: with finished make-seeds, make-seeds-cam, make-masks and train-seg.
        device: the segmenter predicts there.
        precision: "fp32" or "bf16".
    """

    def __init__(self, run: Run, device: torch.device, precision: str) -> None:
        self._run, self._precision = run, precision
        self._segmenter = run_segmenter(run, "", device)
        threshold, _ = noted_threshold(run, "make-masks")
        if threshold is None:
            raise RunError(
                f"{run.path}: the manifest notes no threshold of make-masks", remedy="Run: recam make-masks --overwrite"
            )
        self._threshold = threshold
        self._shown: set[int] = set()

    def draw(self, images: ImageSet, samples: Sequence[Sample]) -> np.ndarray:
        """Return the sheet, uint8 (H, W, 3), with one row per sample of `images`."""
        rows = [self._row(images, sample) for sample in samples]
        ids = {value - 1 for value in self._shown if value not in (0, IGNORE)}
        return contact_sheet(
            rows,
            header=f"{len(rows)} of {len(images)} training images",
            columns=COLUMNS,
            legend=[*class_entries(images.classes, ids), HEAT_ENTRY],
            height=HEIGHT,
        )

    def _row(self, images: ImageSet, sample: Sample) -> list[Panel | None]:
        full = read_image(sample.image)
        photo = scaled(full, fitted_size(full.shape, HEIGHT, round(HEIGHT * MAX_ASPECT)))
        seeds = [read_seed(self._run.path / folder / f"{sample.id}.npz") for folder in ("seeds-cam", "seeds")]
        shown = sample.labels[0]
        names = ", ".join(images.classes[k] for k in sample.labels)
        panels: list[Panel | None] = [Panel(names, photo)]
        panels += [Panel(images.classes[shown], heat_overlay(photo, _map_of(seed, shown))) for seed in seeds]
        panels.append(self._mask(photo, seeds[-1].label(self._threshold)))
        panels.append(self._mask(photo, read_mask(self._run.path / "masks" / f"{sample.id}.png")))
        panels.append(self._mask(photo, self._prediction(full)))
        panels.append(None if sample.mask is None else self._mask(photo, read_mask(sample.mask)))
        return panels

    def _prediction(self, image: np.ndarray) -> np.ndarray:
        if self._segmenter is None:
            return np.zeros(image.shape[:2], dtype=np.uint8)
        return predict_image(self._segmenter[0], image, precision=self._precision)[0]

    def _mask(self, photo: np.ndarray, mask: np.ndarray) -> Panel:
        self._shown |= {int(value) for value in np.unique(mask)}
        return Panel("", mask_overlay(photo, scaled(mask, (photo.shape[0], photo.shape[1]), labels=True)))


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
