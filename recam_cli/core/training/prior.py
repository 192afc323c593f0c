"""What looks like an object, where labels cannot tell: every photograph shows the class, so nothing is its opposite."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

STRONGEST = 5
"""Of ImageNet's classes: its finest ones, as breeds, share their objects."""


def object_row(features: np.ndarray, head: Tensor | None) -> Tensor:
    """Return a row of FC1 whose map is high where the photographs' most likely ImageNet classes are seen.

    With w_c the head's rows less their mean, and p_c the mean over the photographs of the softmax of w_c · f, it is the
    sum of p_c·w_c over the strongest five. Without a head it is the photographs' mean feature.

    Args:
        features: float32 (N, V, C), pooled.
        head: (1000, C), or None.

    Returns:
        float32 (C,).
    """
    mean = torch.from_numpy(features.mean(axis=1, dtype=np.float64).astype(np.float32))
    if head is None:
        return mean.mean(dim=0)
    rows = head.float() - head.float().mean(dim=0)
    shares = torch.softmax(mean @ rows.t(), dim=1).mean(dim=0)
    strongest = shares.topk(min(STRONGEST, len(shares)))
    return (strongest.values[:, None] * rows[strongest.indices]).sum(dim=0) / strongest.values.sum()
