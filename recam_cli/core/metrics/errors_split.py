"""The errors behind an IoU, split into false positives, false negatives and confusion among classes.

For class k the union of truth and prediction falls into four kinds of wrong pixels and the right ones:

    false positive, background   truth background, predicted k     (the object spills over)
    false positive, confusion    truth another class, predicted k
    false negative, background   truth k, predicted background     (object parts called background)
    false negative, confusion    truth k, predicted another class

Each is given as a share of the union, so that IoU + false positives + false negatives = 1 for every class.
The means run over the foreground classes that appear, as the figures "FP" and "FN" of published seed
evaluations do (there 1 - |truth| / |union| and 1 - |prediction| / |union|). The ReCAM paper looks at two of
the four: confusion between classes, and object pixels called background. A seed or a mask made of it holds
labelled classes only, so its confusion is confusion among the image's labelled classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recam_cli.core.data.samples import BACKGROUND
from recam_cli.core.metrics.confusion import ConfusionMatrix, iou_of
from recam_cli.core.metrics.figures import mean_of_present, percent, ratio

KINDS = (
    "false_positive_background",
    "false_positive_confusion",
    "false_negative_background",
    "false_negative_confusion",
)


@dataclass(frozen=True)
class ErrorShares:
    """Shares of the union per foreground class: float64 (K,) each, NaN for a class that does not appear.

    Pixels predicted 255 and read as "unlabelled" count as false negatives, background part.
    """

    iou: np.ndarray
    false_positive_background: np.ndarray
    false_positive_confusion: np.ndarray
    false_negative_background: np.ndarray
    false_negative_confusion: np.ndarray

    @classmethod
    def of(cls, confusion: ConfusionMatrix) -> ErrorShares:
        """Split the errors that `confusion` counts."""
        counts, unlabelled = confusion.counts, confusion.unlabelled
        right = np.diagonal(counts)
        in_truth, predicted = counts.sum(axis=1) + unlabelled, counts.sum(axis=0)
        union = (in_truth + predicted - right)[1:]
        spilled = counts[BACKGROUND, 1:]
        missed = counts[1:, BACKGROUND] + unlabelled[1:]
        return cls(
            iou=iou_of(counts, unlabelled)[1:],
            false_positive_background=ratio(spilled, union),
            false_positive_confusion=ratio((predicted - right)[1:] - spilled, union),
            false_negative_background=ratio(missed, union),
            false_negative_confusion=ratio((in_truth - right)[1:] - missed, union),
        )

    @property
    def false_positive(self) -> np.ndarray:
        """Both parts of the false positives: float64 (K,)."""
        both: np.ndarray = self.false_positive_background + self.false_positive_confusion
        return both

    @property
    def false_negative(self) -> np.ndarray:
        """Both parts of the false negatives: float64 (K,)."""
        both: np.ndarray = self.false_negative_background + self.false_negative_confusion
        return both

    def as_dict(self, classes: Sequence[str]) -> dict[str, Any]:
        """Return means and per-class shares in percent; `classes` names the K classes, None where absent."""
        names = ("false_positive", "false_negative", *KINDS)
        shares = {name: np.asarray(getattr(self, name)) for name in names}
        means: dict[str, Any] = {"iou_foreground": percent(mean_of_present(self.iou))}
        means.update({name: percent(mean_of_present(values)) for name, values in shares.items()})
        means["per_class"] = {
            label: None if np.isnan(self.iou[k]) else {name: percent(values[k]) for name, values in shares.items()}
            for k, label in enumerate(classes)
        }
        return means
