"""Confident labels: what the seeds are sure of, as the teacher of the boundary network (IRN, CVPR 2019, §3.3).

The seed is cut at two thresholds and refined by the dense CRF twice, the pairwise terms being built once: a pixel that
is still object at the high threshold is that object, one that is background even at the low one is background, and
the rest is undecided (255).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recam_cli.core.cams.store import Seed
from recam_cli.core.data.samples import BACKGROUND, IGNORE
from recam_cli.core.errors import UsageError
from recam_cli.core.masks.refine import Refinement, SeedRefiner

ABOVE, BELOW = 0.12, 0.10
"""The published code's author on other data (issue 15): 0.10 to 0.15 above the seed threshold, and 0.10 below it."""


@dataclass(frozen=True)
class ConfidentThresholds:
    """The background's score for the map of sure objects (`high`) and for that of sure background (`low`)."""

    high: float
    low: float

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high <= 1:
            raise UsageError(
                f"confident labels need 0 ≤ background ≤ foreground threshold ≤ 1, not {self.low:g} and {self.high:g}",
                remedy="Change --confident-bg or --confident-fg",
            )

    @classmethod
    def around(cls, threshold: float, *, high: float | None = None, low: float | None = None) -> ConfidentThresholds:
        """Return the given thresholds, those missing from the rule above around the seed threshold."""
        return cls(
            high=min(1.0, threshold + ABOVE) if high is None else high,
            low=max(0.0, threshold - BELOW) if low is None else low,
        )


def confident_labels(image: np.ndarray, seed: Seed, thresholds: ConfidentThresholds, how: Refinement) -> np.ndarray:
    """Return the confident labels of one image, uint8 (H, W): 0, class id + 1, or 255 where undecided.

    Args:
        image: uint8 (H, W, 3) RGB, the working copy the seed was made of.
        seed: the class maps; with none all is background.
        thresholds: for sure objects and sure background.
        how: the dense CRF; published: hard labels.

    Raises:
        DataError: image and seed do not belong together.
        UsageError: the CRF's backend is not installed.
    """
    refiner = SeedRefiner(image, seed, how)
    objects, background = refiner.masks((thresholds.high, thresholds.low))
    sure = np.where(background == BACKGROUND, BACKGROUND, IGNORE)
    return np.where(objects != BACKGROUND, objects, sure).astype(np.uint8)
