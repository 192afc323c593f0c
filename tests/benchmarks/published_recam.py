"""The published re-activation, written anew as the reference: materialises B×K×C×h×w (recipe §1.3)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def published_loss(features: Tensor, fc1: Tensor, fc2: Tensor, targets: Tensor) -> Tensor:
    """Return the SCE loss of features (B, C, h, w), weights (K, C) each and multi-hot targets (B, K)."""
    scores = torch.einsum("bchw,kc->bkhw", features, fc1)
    maps = F.relu(scores)
    masks = maps / (maps.amax(dim=(2, 3), keepdim=True) + 1e-5)
    masked = masks.unsqueeze(2) * features.unsqueeze(1)
    pooled = masked.mean(dim=(3, 4))
    total = features.new_zeros(())
    for image, target in zip(pooled, targets, strict=True):
        present = target.nonzero(as_tuple=True)[0]
        if len(present):
            total = total + F.cross_entropy(image[present] @ fc2.t(), present)
    return total / len(features)
