"""Unary energies of the dense CRF: how much each pixel's own evidence speaks against each label.

*Hard* (IRN's recipe) takes only the winning label and believes it with a fixed certainty; *soft* keeps how
clearly a map wins. Label 0 is the background throughout, label i + 1 the i-th map.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from recam_cli.core.errors import UsageError

Scaling = Literal["softmax", "share"]

CERTAINTY = 0.7
"""Published belief in a hard label (IRN, AdvCAM, ReCAM)."""
TEMPERATURE = 0.2
"""Default temperature of the softmax over scores in [0, 1]."""
SMALLEST_PROBABILITY = 1e-5
"""Probabilities are clipped here from below, so that energies stay finite (at most 11.5)."""


def hard_unary(labels: np.ndarray, count: int, *, certainty: float = CERTAINTY) -> np.ndarray:
    """Return the energies of a label map: -log(certainty) for a pixel's label, -log((1-certainty)/(count-1))
    else.

    Label 0 is a label as any other (the published `zero_unsure=False`).

    Args:
        labels: integer (H, W), values 0..count-1.
        count: number of labels; with one, all energies are 0.
        certainty: probability of the pixel's label, in (0, 1).

    Returns:
        float32 (count, H, W).

    Raises:
        UsageError: `certainty` or a label lies outside its range.
    """
    if not 0 < certainty < 1:
        raise UsageError(f"the certainty of hard labels is {certainty}, but must lie between 0 and 1")
    if labels.size and (labels.min() < 0 or labels.max() >= count):
        raise UsageError(f"labels {labels.min()}..{labels.max()} do not fit {count} labels")
    if count == 1:
        return np.zeros((1, *labels.shape), dtype=np.float32)
    energies = np.full((count, *labels.shape), -np.log((1 - certainty) / (count - 1)), dtype=np.float32)
    np.put_along_axis(energies, labels[None].astype(np.int64), np.float32(-np.log(certainty)), axis=0)
    return energies


def soft_unary(probabilities: np.ndarray) -> np.ndarray:
    """Return -log of `probabilities` (n, H, W), clipped to [`SMALLEST_PROBABILITY`, 1]: float32 (n, H, W)."""
    clipped = np.clip(probabilities, SMALLEST_PROBABILITY, 1.0, dtype=np.float32)
    return np.asarray(-np.log(clipped))


def seed_scores(maps: np.ndarray, threshold: float) -> np.ndarray:
    """Return the seed's scores with the background first: a plane of `threshold`, then the maps.

    Args:
        maps: (n, H, W) in [0, 1]; n may be 0.
        threshold: the constant score of the background, in [0, 1].

    Returns:
        float32 (n + 1, H, W); its argmax is the seed's label map (ties to background).
    """
    background = np.full((1, *maps.shape[1:]), threshold, dtype=np.float32)
    return np.concatenate([background, maps.astype(np.float32, copy=False)])


def fading_scores(maps: np.ndarray, alpha: float) -> np.ndarray:
    """Return scores with the background first, (1 - largest map)^alpha, then the maps (PSA, CVPR 2018, §3.3).

    The background fades where a map rises, the faster the larger `alpha` > 0 is.

    Args:
        maps: (n, H, W) in [0, 1]; n may be 0.
        alpha: exponent.

    Returns:
        float32 (n + 1, H, W).
    """
    largest = maps.max(axis=0, keepdims=True, initial=0)
    background = np.power(1 - largest, np.float32(alpha), dtype=np.float32)
    return np.concatenate([background, maps.astype(np.float32, copy=False)])


def probabilities(scores: np.ndarray, scaling: Scaling = "softmax", *, temperature: float = TEMPERATURE) -> np.ndarray:
    """Turn scores into a distribution per pixel that keeps their order.

    "softmax": exp(s/temperature) / sum. The odds of two labels depend on the *difference* of their scores: a
    lead of 0.1 counts the same near the threshold as near 1. A small temperature comes near to hard labels of
    certainty 1, a large one leaves everything to the pairwise terms.

    "share": s / sum(s). The odds are the *ratio* of the scores: 1 against a threshold of 0.25 gives odds of
    4, and a map at 0 is as good as impossible there, so that the CRF cannot let a class grow to where its map
    is 0. No parameter. Where all scores are 0, all labels are equally likely.

    Args:
        scores: (n, H, W), not negative.
        scaling: one of the above.
        temperature: of the softmax only, greater than 0.

    Returns:
        float32 (n, H, W), summing to 1 over the labels.

    Raises:
        UsageError: the temperature is not positive, or `scaling` is neither.
    """
    scores = scores.astype(np.float32, copy=False)
    if scaling == "softmax":
        if not temperature > 0:
            raise UsageError(f"the temperature of the softmax is {temperature}, but must be greater than 0")
        powers = np.exp((scores - scores.max(axis=0)) / np.float32(temperature))
        return np.asarray(powers / powers.sum(axis=0))
    if scaling == "share":
        total = scores.sum(axis=0)
        even = np.full_like(scores, 1 / len(scores))
        return np.asarray(np.divide(scores, total, out=even, where=total > 0))
    raise UsageError(f"unknown scaling {scaling} of scores", remedy="Known are softmax, share")
