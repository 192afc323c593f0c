"""The whole threshold curve of seeds from one pass over their maps.

A seed's class at a pixel is the class of its largest map wherever that map's value v exceeds the threshold.
So it is enough to count, per true value and class of the largest map, how many thresholds lie below v: one
histogram over (true value, class, number of thresholds below v). Summing it from the top gives the exact
confusion matrix at every threshold, the same as labelling anew for each. The histogram's size does not
depend on the number of images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recam_cli.core.data.samples import BACKGROUND
from recam_cli.core.errors import DataError, UsageError
from recam_cli.core.metrics.confusion import ConfusionMatrix, check_pair, check_values, iou_of
from recam_cli.core.metrics.figures import mean_of_present

DEFAULT_COUNT = 100


def threshold_grid(count: int = DEFAULT_COUNT) -> tuple[float, ...]:
    """Return `count` evenly spaced thresholds from 0 (included) to 1 (not included)."""
    return tuple(i / count for i in range(count))


@dataclass(frozen=True)
class ThresholdCurve:
    """The mIoU of seeds as a function of the threshold.

    Attributes:
        thresholds: ascending.
        miou: float64 (T,), shares in [0, 1]; NaN where nothing was counted.
    """

    thresholds: tuple[float, ...]
    miou: np.ndarray

    @property
    def best(self) -> tuple[float, float]:
        """The (lowest) threshold of the highest mIoU, and that mIoU: chosen *with* ground truth."""
        index = int(np.argmax(np.nan_to_num(self.miou, nan=-1.0)))
        return self.thresholds[index], float(self.miou[index])

    def at(self, threshold: float) -> float:
        """Return the mIoU at one of the curve's thresholds.

        Raises:
            UsageError: the curve has no such threshold.
        """
        for index, known in enumerate(self.thresholds):
            if abs(known - threshold) < 1e-9:
                return float(self.miou[index])
        raise UsageError(f"threshold {threshold} is not on the curve of {len(self.thresholds)} thresholds")


class SeedSweep:
    """Counts, over any number of images, that hold the confusion matrix of the seeds at every threshold."""

    def __init__(self, num_values: int, thresholds: Sequence[float]) -> None:
        """Start empty.

        Args:
            num_values: number of mask values (the number of classes plus one).
            thresholds: at least one, in any order; repeated ones count once.
        """
        self.thresholds = tuple(sorted(set(thresholds)))
        if not self.thresholds:
            raise UsageError("a threshold sweep needs at least one threshold")
        self.num_values = num_values
        # Maps are float32 and are compared with thresholds in float32, as `label_of` does.
        self._limits = np.asarray(self.thresholds, dtype=np.float32)
        self._true = np.zeros(num_values, dtype=np.int64)
        self._counts = np.zeros((num_values, num_values - 1, len(self.thresholds) + 1), dtype=np.int64)

    @property
    def nbytes(self) -> int:
        """Bytes the counts take, whatever the number of images."""
        return self._counts.nbytes + self._true.nbytes

    def add(
        self,
        truth: np.ndarray,
        maps: np.ndarray,
        classes: np.ndarray,
        *,
        truth_name: str = "truth",
        seed_name: str = "seed",
    ) -> None:
        """Count the pixels of one image.

        Args:
            truth: uint8 (H, W), 0..V-1, or 255 for pixels that do not count.
            maps: float32 (n, H, W), the class maps at the photograph's size.
            classes: int64 (n,), their 0-based class ids.
            truth_name: how messages name the truth, e.g. its path.
            seed_name: how messages name the seed.

        Raises:
            DataError: sizes that differ, a class id or a true value outside the classes.
        """
        check_pair(truth, maps.shape[1:], truth_name, seed_name)
        strange = classes[(classes < 0) | (classes >= self.num_values - 1)]
        if len(strange):
            raise DataError(
                f"{seed_name}: class {int(strange[0])} of {self.num_values - 1} classes (ids start at 0)",
                remedy="Make the seeds anew from this data set: recam make-seeds",
            )
        histogram = np.bincount(truth.ravel(), minlength=256)
        check_values(histogram, self.num_values, truth_name)
        self._true += histogram[: self.num_values]
        if len(classes) == 0:
            return
        value, winner = _largest(maps)
        bins = len(self.thresholds) + 1
        rows = self.num_values + 1  # the last row takes the pixels to ignore
        codes = np.minimum(truth, self.num_values).astype(np.intp)
        codes *= len(classes)
        codes += winner
        codes *= bins
        codes += np.searchsorted(self._limits, value.ravel(), side="left").reshape(value.shape)
        counted = np.bincount(codes.ravel(), minlength=rows * len(classes) * bins)
        counted = counted.reshape(rows, len(classes), bins)[: self.num_values]
        for local, class_id in enumerate(classes):
            self._counts[:, class_id] += counted[:, local]

    def merge(self, other: SeedSweep) -> None:
        """Add the counts of another sweep over the same mask values and thresholds."""
        if other.num_values != self.num_values or other.thresholds != self.thresholds:
            raise ValueError("only sweeps over the same mask values and thresholds can be merged")
        self._true += other._true
        self._counts += other._counts

    def matrices(self) -> np.ndarray:
        """Return the confusion counts at every threshold: int64 (T, V, V), [threshold, true, predicted]."""
        # [..., i] = pixels above threshold i, i.e. with more than i thresholds below their value
        above = np.cumsum(self._counts[..., :0:-1], axis=-1)[..., ::-1]
        result = np.empty((len(self.thresholds), self.num_values, self.num_values), dtype=np.int64)
        result[:, :, BACKGROUND + 1 :] = np.moveaxis(above, -1, 0)
        result[:, :, BACKGROUND] = self._true - result[:, :, BACKGROUND + 1 :].sum(axis=-1)
        return result

    def confusion(self, threshold: float) -> ConfusionMatrix:
        """Return the confusion matrix at one of the sweep's thresholds.

        Raises:
            UsageError: the sweep has no such threshold.
        """
        if threshold not in self.thresholds:
            raise UsageError(f"threshold {threshold} was not swept")
        result = ConfusionMatrix(self.num_values)
        result.counts += self.matrices()[self.thresholds.index(threshold)]
        return result

    def curve(self, thresholds: Sequence[float] | None = None) -> ThresholdCurve:
        """Return the curve over all thresholds of the sweep, or over those of `thresholds`."""
        wanted = self.thresholds if thresholds is None else tuple(sorted(set(thresholds)))
        chosen = [self.thresholds.index(t) for t in wanted]
        return ThresholdCurve(wanted, mean_of_present(iou_of(self.matrices()[chosen])))


def _largest(maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the largest value over maps (n, H, W) and the index of the first map holding it, each (H, W).

    The same as `max` and `argmax` over axis 0, but several times faster for the few classes an image has.
    """
    value = maps[0].copy()
    winner = np.zeros(value.shape, dtype=np.intp)
    for index in range(1, len(maps)):
        larger = maps[index] > value
        np.copyto(value, maps[index], where=larger)
        winner[larger] = index
    return value, winner
