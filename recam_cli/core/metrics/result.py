"""What an evaluation found: one object that becomes JSON, CSV, a table and a manifest entry."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from recam_cli.core.metrics.confusion import ConfusionMatrix, Scores
from recam_cli.core.metrics.coverage import CoveragePoint
from recam_cli.core.metrics.errors_split import ErrorShares
from recam_cli.core.metrics.figures import percent
from recam_cli.core.metrics.sweep import ThresholdCurve

Chosen = Literal["given", "label-free", "swept with ground truth"]


@dataclass(frozen=True)
class EvaluateResult:
    """The figures of one evaluation.

    Attributes:
        of: "seeds", "masks", "segmentation", or "folders" for two folders of PNGs.
        split: the data set's split, None for folders.
        variant: "cam" for the plain-CAM comparison of a ReCAM run, "truth" for the segmenter of the true masks, else
            "run".
        images: number of images scored.
        names: names of the mask values 0..K.
        confusion: their confusion matrix, for seeds at `threshold`.
        threshold: of seeds, or the one the masks were made with where the run knows it.
        threshold_chosen: how it was chosen; "swept with ground truth" marks figures that saw the true masks.
        curve: mIoU over thresholds, seeds only.
        label_free: the run's label-free threshold and its mIoU (share), where the run holds one; seeds only.
        coverage: figures of the pixels above confidence thresholds, masks with confidence maps only.
        files: what was written.
    """

    of: str
    split: str | None
    variant: str
    images: int
    names: tuple[str, ...]
    confusion: ConfusionMatrix
    threshold: float | None = None
    threshold_chosen: Chosen | None = None
    curve: ThresholdCurve | None = None
    label_free: tuple[float, float] | None = None
    coverage: tuple[CoveragePoint, ...] | None = None
    files: tuple[Path, ...] = ()

    @property
    def scores(self) -> Scores:
        """IoU, precision, recall and accuracy, as shares."""
        return self.confusion.scores()

    @property
    def errors(self) -> ErrorShares:
        """The split of the errors, as shares."""
        return ErrorShares.of(self.confusion)

    @property
    def miou(self) -> float | None:
        """MIoU in percent, two decimals."""
        return percent(self.scores.miou)

    def summary(self) -> dict[str, Any]:
        """Return the head figures, JSON-ready, in percent: what manifest and log keep."""
        return {
            "of": self.of,
            "split": self.split,
            "variant": self.variant,
            "images": self.images,
            "miou": self.miou,
            "pixel_accuracy": percent(self.scores.pixel_accuracy),
            "threshold": self.threshold,
            "threshold_chosen": self.threshold_chosen,
            "best": _point(self.curve.best if self.curve else None, "swept with ground truth"),
            "label_free": _point(self.label_free, "label-free"),
        }

    def as_dict(self) -> dict[str, Any]:
        """Return everything but the raw counts, JSON-ready; shares in percent, null where undefined."""
        scores = self.scores
        return {
            **self.summary(),
            "per_class": self._by_name(scores.iou),
            "precision": self._by_name(scores.precision),
            "recall": self._by_name(scores.recall),
            "errors": self.errors.as_dict(self.names[1:]),
            "curve": None if self.curve is None else _points(self.curve),
            "coverage": None if self.coverage is None else [point.as_dict() for point in self.coverage],
        }

    def _by_name(self, values: np.ndarray) -> dict[str, float | None]:
        return {name: percent(value) for name, value in zip(self.names, values, strict=True)}


def _point(point: tuple[float, float] | None, chosen: Chosen) -> dict[str, Any] | None:
    return point and {"threshold": point[0], "miou": percent(point[1]), "chosen": chosen}


def _points(curve: ThresholdCurve) -> list[list[float | None]]:
    return [[t, percent(miou)] for t, miou in zip(curve.thresholds, curve.miou, strict=True)]
