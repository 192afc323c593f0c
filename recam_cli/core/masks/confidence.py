"""How sure a pseudo mask is of each pixel: the winner's share of a distribution over the labels.

The labels are the n an image can have, the background and its labelled classes. Their distribution is what a CRF on
soft scores starts from (`unary.probabilities`: the softmax of the scores, that of the background among them, at the
settings' temperature), or, where the dense CRF refines, its marginals. Mean-field marginals are far too sure of
themselves: on photographs whose masks were known they gave 97 % of the pixels 0.95 or more, and 90 % of these were
right. So they are flattened by a temperature (Guo et al., ICML 2017), set once there; that makes both comparable.

The mask holds the label of the largest share, and the confidence is that share: 1 where nothing speaks for another
label, 0.5 where as much speaks against the label as for it, and 1/n, the smallest there can be, where all labels are
equal. An image without labels can be nothing but background: 1 everywhere. How often a pixel of a given confidence is
right, only `recam evaluate --of masks` can tell. The background scores the same everywhere, and so has a confidence it
cannot exceed: without the CRF 1 / (1 + n' exp(-threshold / temperature)) with n' classes whose maps are 0.

On disk a confidence is an 8-bit level, round(255 · confidence), a greyscale PNG per image beside the masks. Whatever
compares confidences compares these levels, so that what is left out of a mask and what an evaluation leaves out are the
same pixels.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from recam_cli.core.data.images import read_grey, write_grey
from recam_cli.core.data.limits import MAX_PIXELS
from recam_cli.core.errors import DataError

FOLDER = "confidence"
"""Of a run; the masks of its plain CAM have `confidence-cam`."""
LEVELS = 255
"""The level of confidence 1."""
MEAN_FIELD_TEMPERATURE = 5.0
"""Of the dense CRF's marginals, between what fitted those of the preset `small` and those of the published CRF best.

`tests/benchmarks/bench_confidence.py` prints how far confidence is from the share of right pixels at this and others.
"""


def flattened(distribution: np.ndarray, temperature: float) -> np.ndarray:
    """Return `distribution` (n, H, W) to the power of 1 / `temperature`, summing to 1 again: float32 (n, H, W)."""
    odds = (distribution / distribution.max(axis=0)) ** np.float32(1.0 / temperature)
    return np.asarray(odds / odds.sum(axis=0), dtype=np.float32)


def confidence_levels(distribution: np.ndarray, *, temperature: float = 1.0) -> np.ndarray:
    """Return the winner's share of each pixel as levels.

    Args:
        distribution: float (n, H, W), n ≥ 1, not negative, summing to 1 over the labels.
        temperature: the distribution is taken to the power of 1 / temperature and normalised again before.

    Returns:
        uint8 (H, W), `LEVELS` / n or more.
    """
    odds = distribution / distribution.max(axis=0)
    if temperature != 1.0:
        odds = odds ** np.float32(1.0 / temperature)
    return np.asarray(np.rint(np.float32(LEVELS) / odds.sum(axis=0)), dtype=np.uint8)


def lowest_level(threshold: float) -> int:
    """Return the smallest level that is not below the confidence `threshold`, in [0, 1]."""
    # Rounded first: 0.07 · 255 / 255 · 255 and its like must not climb to the next level by their last digit.
    return math.ceil(round(LEVELS * threshold, 6))


def unsure(levels: np.ndarray, threshold: float) -> np.ndarray:
    """Return where `levels` uint8 (H, W) lie below the confidence `threshold`: bool (H, W), nowhere for 0."""
    return np.asarray(levels < lowest_level(threshold))


def mean_confidence(levels: int, pixels: int) -> float | None:
    """Return the mean confidence of `pixels` whose levels add up to `levels`, six decimals; None without any."""
    return round(levels / (LEVELS * pixels), 6) if pixels else None


def write_confidence(path: Path, levels: np.ndarray) -> None:
    """Write levels, uint8 (H, W), whole or not at all."""
    write_grey(path, levels)


def read_confidence(path: Path, shape: tuple[int, ...], *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Read the levels of a mask of `shape` (H, W): uint8 (H, W).

    Raises:
        DataError: missing, damaged, no greyscale PNG, or of another size.
    """
    try:
        levels = read_grey(path, max_pixels=max_pixels)
    except DataError as error:
        raise DataError(error.message, remedy="Delete it and run: recam make-masks") from None
    if levels.shape != shape:
        there, here = ("×".join(map(str, size[::-1])) for size in (levels.shape, shape))
        raise DataError(
            f"{path}: {there} pixels, but its mask has {here}", remedy="Delete it and run: recam make-masks"
        )
    return levels
