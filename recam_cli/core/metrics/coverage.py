"""What masks are worth if only their confident pixels are kept: precision, recall and IoU against coverage.

At a threshold t the pixels of confidence t or more are kept, those that `make-masks --ignore-below t` would keep. One
pass counts pixels by the number of thresholds that keep them: a confusion matrix for each of these bins, of a size that
does not depend on the number of images. Summing the bins from the top gives the exact matrix at every threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recam_cli.core.errors import DataError, UsageError
from recam_cli.core.masks.confidence import LEVELS, lowest_level
from recam_cli.core.metrics.confusion import ConfusionMatrix, IgnoredPrediction, check_pair, pair_tables
from recam_cli.core.metrics.figures import mean_of_present, percent, ratio

CONFIDENCES = (0.0, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.99)
"""Thresholds that evaluations report; the first keeps every pixel."""


@dataclass(frozen=True)
class CoveragePoint:
    """Figures of the pixels kept at one threshold, as shares in [0, 1]; NaN where undefined.

    Pixels count whose true value is known (not 255). A kept pixel predicted 255 is read as the confusion matrix reads
    it: as background, or as kept without a class ("unlabelled"), which covers nothing.

    Attributes:
        threshold: the smallest confidence kept.
        coverage: share of the pixels that are kept.
        object_coverage: share of the pixels that are kept and predicted a class.
        precision: share of the kept pixels predicted a value that are right; the mean over the values predicted.
        recall: share of *all* pixels of a true value that are kept and right; the mean over the true values.
        miou: mean IoU of the kept pixels alone.
    """

    threshold: float
    coverage: float
    object_coverage: float
    precision: float
    recall: float
    miou: float

    def as_dict(self) -> dict[str, Any]:
        """Return it JSON-ready: the threshold as it is, shares in percent, None where undefined."""
        shares = {name: percent(value) for name, value in vars(self).items() if name != "threshold"}
        return {"threshold": self.threshold, **shares}


class CoverageCounts:
    """Counts, over any number of images, that hold the confusion matrix of the pixels kept at every threshold."""

    def __init__(
        self, num_values: int, thresholds: Sequence[float] = CONFIDENCES, *, ignored: IgnoredPrediction = "background"
    ) -> None:
        """Start empty.

        Args:
            num_values: number of mask values (the number of classes plus one).
            thresholds: at least one, in [0, 1], in any order; repeated ones count once.
            ignored: how a predicted 255 counts, as of `ConfusionMatrix`.
        """
        self.thresholds = tuple(sorted(set(thresholds)))
        if not self.thresholds:
            raise UsageError("a coverage curve needs at least one threshold")
        self._ignored = ignored
        # bin i holds the pixels that the first i thresholds keep, and no other
        self._bins = [ConfusionMatrix(num_values, ignored=ignored) for _ in range(len(self.thresholds) + 1)]
        limits = [lowest_level(threshold) for threshold in self.thresholds]
        bins = np.searchsorted(limits, np.arange(LEVELS + 1), side="right")
        self._bin_of_level = bins.astype(np.min_scalar_type(len(limits)))

    def update(
        self,
        truth: np.ndarray,
        prediction: np.ndarray,
        levels: np.ndarray,
        *,
        truth_name: str = "truth",
        prediction_name: str = "prediction",
    ) -> None:
        """Count the pixels of one image; arguments and errors as of `ConfusionMatrix.update`.

        Args:
            truth: uint8 (H, W).
            prediction: uint8 (H, W).
            levels: uint8 (H, W), the prediction's confidence levels.
            truth_name: how messages name the truth.
            prediction_name: how messages name the prediction.

        Raises:
            DataError: as said, or levels of another size or type.
        """
        check_pair(truth, prediction.shape, truth_name, prediction_name)
        if levels.shape != prediction.shape or levels.dtype != np.uint8:
            raise DataError(f"{prediction_name}: its confidence is no uint8 map of its size")
        tables = pair_tables(truth, prediction, prediction_name, self._bin_of_level[levels], len(self._bins))
        for matrix, table in zip(self._bins, tables, strict=True):
            matrix.add(table, truth_name, prediction_name)

    def confusion(self, index: int | None = None) -> ConfusionMatrix:
        """Return the confusion matrix of the pixels kept at `thresholds[index]`, or of all pixels without `index`."""
        first = 0 if index is None else index + 1
        result = ConfusionMatrix(self._bins[0].num_values, ignored=self._ignored)
        for matrix in self._bins[first:]:
            result.merge(matrix)
        return result

    def curve(self) -> tuple[CoveragePoint, ...]:
        """Return the figures at every threshold, ascending."""
        everything = self.confusion()
        return tuple(
            _point(threshold, self.confusion(index), everything) for index, threshold in enumerate(self.thresholds)
        )


def _point(threshold: float, kept: ConfusionMatrix, everything: ConfusionMatrix) -> CoveragePoint:
    total = np.asarray(everything.total)
    in_truth = everything.counts.sum(axis=1) + everything.unlabelled
    scores = kept.scores()
    return CoveragePoint(
        threshold=threshold,
        coverage=float(ratio(kept.counts.sum(), total)),
        object_coverage=float(ratio(kept.counts[:, 1:].sum(), total)),
        precision=float(mean_of_present(scores.precision)),
        recall=float(mean_of_present(ratio(np.diagonal(kept.counts), in_truth))),
        miou=scores.miou,
    )
