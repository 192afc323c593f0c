"""The streaming confusion matrix and what is read off it: IoU, precision, recall, pixel accuracy.

Its size depends on the number of classes alone, so a split of any size is scored in constant memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from recam_cli.core.data.samples import BACKGROUND, IGNORE
from recam_cli.core.data.sizes import row_blocks
from recam_cli.core.errors import DataError
from recam_cli.core.metrics.figures import mean_of_present, ratio

IgnoredPrediction = Literal["background", "unlabelled"]
_BYTE = 256


@dataclass(frozen=True)
class Scores:
    """Figures of one confusion matrix, as shares in [0, 1]; NaN where undefined.

    Attributes:
        iou: float64 (V,), per mask value; NaN for a value that neither truth nor prediction holds.
        precision: float64 (V,); NaN for a value never predicted.
        recall: float64 (V,); NaN for a value the truth never holds.
        miou: mean of `iou` over the values that appear in truth or prediction, background among them.
        pixel_accuracy: share of the counted pixels that are right.
    """

    iou: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    miou: float
    pixel_accuracy: float


class ConfusionMatrix:
    """Counts of pixels by true and predicted mask value, over any number of images.

    Pixels whose truth is 255 (ignore) do not count. A *prediction* of 255 counts, in one of two ways:
    "background" takes it as background, the published protocol for masks with unsure pixels;
    "unlabelled" takes it as wrong without being any class: it lowers the recall and IoU of the true value,
    and no precision.

    Attributes:
        counts: int64 (V, V), [true value, predicted value].
        unlabelled: int64 (V,), pixels predicted 255, by true value; all 0 with "background".
    """

    def __init__(self, num_values: int, *, ignored: IgnoredPrediction = "background") -> None:
        """Start empty, for mask values 0..`num_values` - 1 (the number of classes plus one)."""
        self.ignored = ignored
        self.counts = np.zeros((num_values, num_values), dtype=np.int64)
        self.unlabelled = np.zeros(num_values, dtype=np.int64)

    @property
    def num_values(self) -> int:
        """Number of mask values, background among them."""
        return len(self.counts)

    @property
    def total(self) -> int:
        """Number of counted pixels."""
        return int(self.counts.sum() + self.unlabelled.sum())

    def update(
        self,
        truth: np.ndarray,
        prediction: np.ndarray,
        *,
        truth_name: str = "truth",
        prediction_name: str = "prediction",
    ) -> None:
        """Count the pixels of one image.

        Args:
            truth: uint8 (H, W), 0..V-1 or 255.
            prediction: uint8 (H, W), 0..V-1 or 255.
            truth_name: how messages name the truth, e.g. its path.
            prediction_name: how messages name the prediction.

        Raises:
            DataError: different sizes, not uint8, or a value that is neither below V nor 255.
        """
        check_pair(truth, prediction.shape, truth_name, prediction_name)
        self.add(pair_tables(truth, prediction, prediction_name)[0], truth_name, prediction_name)

    def add(self, table: np.ndarray, truth_name: str, prediction_name: str) -> None:
        """Count the pixels of one table of `pair_tables`, int64 (256, 256); errors as `update`."""
        check_values(table.sum(axis=1), self.num_values, truth_name)
        check_values(table.sum(axis=0), self.num_values, prediction_name)
        known = table[: self.num_values]
        self.counts += known[:, : self.num_values]
        if self.ignored == "background":
            self.counts[:, BACKGROUND] += known[:, IGNORE]
        else:
            self.unlabelled += known[:, IGNORE]

    def merge(self, other: ConfusionMatrix) -> None:
        """Add the counts of another matrix of the same mask values and the same reading of 255."""
        if other.num_values != self.num_values or other.ignored != self.ignored:
            raise ValueError("only matrices of the same mask values and the same reading of 255 can be merged")
        self.counts += other.counts
        self.unlabelled += other.unlabelled

    def trimmed(self) -> ConfusionMatrix:
        """Return the matrix without the mask values above the largest that appears."""
        used = np.flatnonzero(self.counts.sum(axis=0) + self.counts.sum(axis=1) + self.unlabelled)
        size = int(used[-1]) + 1 if len(used) else 1
        result = ConfusionMatrix(size, ignored=self.ignored)
        result.counts += self.counts[:size, :size]
        result.unlabelled += self.unlabelled[:size]
        return result

    def scores(self) -> Scores:
        """Return the figures of all pixels counted so far."""
        right = np.diagonal(self.counts)
        in_truth = self.counts.sum(axis=1) + self.unlabelled
        iou = iou_of(self.counts, self.unlabelled)
        accuracy = ratio(np.asarray(right.sum()), np.asarray(self.total))
        return Scores(
            iou=iou,
            precision=ratio(right, self.counts.sum(axis=0)),
            recall=ratio(right, in_truth),
            miou=float(mean_of_present(iou)),
            pixel_accuracy=float(accuracy),
        )


def pair_tables(
    truth: np.ndarray, prediction: np.ndarray, prediction_name: str, bins: np.ndarray | None = None, count: int = 1
) -> np.ndarray:
    """Count the pixels of one image by bin, true value and predicted value.

    Args:
        truth: uint8 (H, W).
        prediction: uint8 (H, W).
        prediction_name: how messages name it.
        bins: integer (H, W), 0..`count` - 1; without it all pixels are in bin 0.
        count: number of bins.

    Returns:
        int64 (count, 256, 256).

    Raises:
        DataError: the prediction is not uint8.
    """
    if prediction.dtype != np.uint8:
        raise DataError(f"{prediction_name}: mask of {prediction.dtype}, but masks are uint8")
    counted = np.zeros(count * _BYTE * _BYTE, dtype=np.int64)
    for rows in row_blocks(*truth.shape):  # codes take 8 bytes a pixel
        codes = truth[rows].astype(np.intp)
        if bins is not None:
            codes += bins[rows].astype(np.intp) * _BYTE
        codes *= _BYTE
        codes += prediction[rows]
        counted += np.bincount(codes.ravel(), minlength=len(counted))
    return counted.reshape(count, _BYTE, _BYTE)


def iou_of(counts: np.ndarray, unlabelled: np.ndarray | int = 0) -> np.ndarray:
    """Return the IoU per mask value, float64 (..., V), of counts (..., V, V); NaN where none is."""
    right = np.diagonal(counts, axis1=-2, axis2=-1)
    union = counts.sum(axis=-1) + counts.sum(axis=-2) - right + unlabelled
    return ratio(right, union)


def check_pair(truth: np.ndarray, shape: tuple[int, ...], truth_name: str, prediction_name: str) -> None:
    """Refuse a truth that is not a uint8 mask of the prediction's (H, W) `shape`, with a DataError."""
    if truth.dtype != np.uint8 or truth.ndim != 2:
        raise DataError(f"{truth_name}: {truth.ndim}-d mask of {truth.dtype}, but masks are uint8 of two dimensions")
    if truth.shape != shape:
        there, here = "×".join(map(str, shape[::-1])), "×".join(map(str, truth.shape[::-1]))
        raise DataError(
            f"{prediction_name}: {there} pixels, but the true mask {truth_name} has {here}",
            remedy="Make the prediction from the photograph this mask belongs to",
        )


def check_values(histogram: np.ndarray, num_values: int, name: str) -> None:
    """Refuse, with a DataError, a mask whose `histogram` (256,) of values has entries from V to 254."""
    strange = np.flatnonzero(histogram[num_values:IGNORE])
    if len(strange):
        value = int(strange[0]) + num_values
        raise DataError(
            f"{name}: mask value {value}, but the classes end at {num_values - 1} (255 is ignore)",
            remedy="Check the list of classes, or correct the mask",
        )
