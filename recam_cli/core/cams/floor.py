"""The background's level in class maps: what stands everywhere is taken off before scores mean anything absolute."""

from __future__ import annotations

import numpy as np

from recam_cli.core.errors import UsageError


def without_floor(maps: np.ndarray, floor: float) -> np.ndarray:
    """Take the background's level off class maps in [0, 1]: max(0, (c - floor) / (1 - floor)).

    Maps read with product weights are high everywhere. Whatever stands on the background walks, too, and a background
    score that falls with the largest map, as PSA's, vanishes.

    Args:
        maps: float32, any shape.
        floor: 0 changes nothing.

    Raises:
        UsageError: `floor` lies outside [0, 1).
    """
    check_floor(floor)
    return np.asarray(np.maximum((maps - np.float32(floor)) / np.float32(1 - floor), 0))


def check_floor(floor: float) -> None:
    """Refuse a level outside [0, 1).

    Raises:
        UsageError: it is.
    """
    if not 0 <= floor < 1:
        raise UsageError(f"the level taken off the seeds before the walk is {floor:g}, but must be from 0 to below 1")
