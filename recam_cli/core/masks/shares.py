"""A mask in words: which classes it holds, and how much of the photograph each covers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from recam_cli.core.data.samples import BACKGROUND, IGNORE
from recam_cli.core.data.sizes import value_counts


def shares(mask: np.ndarray, classes: Sequence[str]) -> dict[str, float]:
    """Return the share of pixels of each value that occurs, by name, values ascending.

    Args:
        mask: uint8 (H, W): 0 background, k + 1 for `classes[k]`, 255 ignore.
        classes: names without background; a value past them is named by its number.
    """
    counts = value_counts(mask)
    return {_name(int(v), classes): round(float(counts[v]) / mask.size, 4) for v in np.flatnonzero(counts)}


def _name(value: int, classes: Sequence[str]) -> str:
    if value == BACKGROUND:
        return "background"
    if value <= len(classes):
        return classes[value - 1]
    return "ignored" if value == IGNORE else f"value {value}"
