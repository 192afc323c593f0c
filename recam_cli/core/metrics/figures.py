"""Means over the classes that appear, and percents ready for JSON; NaN means "undefined", in arrays only."""

from __future__ import annotations

import numpy as np


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return part / whole as float64, NaN where `whole` is 0 (shapes as given, integers)."""
    result = np.full(np.shape(whole), np.nan)
    np.divide(part, whole, out=result, where=np.asarray(whole) > 0)
    return result


def mean_of_present(values: np.ndarray) -> np.ndarray:
    """Return the mean over the last axis of the entries that are not NaN; NaN where none is left."""
    present = ~np.isnan(values)
    return ratio(np.where(present, values, 0.0).sum(axis=-1), present.sum(axis=-1))


def percent(value: float | np.ndarray) -> float | None:
    """Return a share (a number or an array of one) in percent with two decimals, None for NaN."""
    return None if np.isnan(value) else round(100.0 * float(value), 2)
