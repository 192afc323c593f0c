"""Self-training: what a segmenter that learned masks says of the same photographs, joined with what they came from.

Masks from seeds err in each photograph in another way: here the walk floods a road, there it loses a leg. A segmenter
that learns all of them cannot learn such errors by heart in a few passes, but learns what they have in common, the
classes. Its own edges are coarse, and where all masks err alike it errs with them; so it does not replace the walked
scores but is joined with them, as independent evidence is: by a weighted mean of the log odds against the background.
Only the photograph's labelled classes count.
"""

from __future__ import annotations

import numpy as np

from recam_cli.core.cams.store import Seed

JOINED_THRESHOLD = 0.5
"""The background's score among joined seeds: there the odds are even."""
_LEAST = 1e-4
"""Scores and probabilities are kept so far from 0 and 1, so that neither side can be certain."""


def joined(seed: Seed, threshold: float, probabilities: np.ndarray, weight: float) -> Seed:
    """Return a seed whose scores join the seed's own with a segmenter's.

    Args:
        seed: n class maps in [0, 1].
        threshold: the background's score among them, in (0, 1).
        probabilities: float32 (K + 1, h, w) of the mask values, background first, on the seed's grid.
        weight: of the segmenter, in [0, 1]; 0 gives the mask that `threshold` cuts, 1 the segmenter's.

    Returns:
        The seed with maps p in [0, 1], to be cut at `JOINED_THRESHOLD`:
        logit p_k = (1 - weight) · (logit s_k - logit threshold) + weight · log(q_k / q_0).
    """
    if len(seed.classes) == 0:
        return seed
    own = _logit(seed.maps) - _logit(np.array(threshold, np.float32))
    chances = np.maximum(probabilities, _LEAST)
    other = np.log(chances[seed.classes + 1]) - np.log(chances[:1])
    odds = (1 - weight) * own + weight * other
    return Seed(seed.classes, (1 / (1 + np.exp(-odds))).astype(np.float32), seed.size, seed.work)


def _logit(scores: np.ndarray) -> np.ndarray:
    kept = np.clip(scores, _LEAST, 1 - _LEAST)
    return np.asarray(np.log(kept / (1 - kept)))
