"""Re-activation: the features each class's map selects, and the loss on them (ReCAM, CVPR 2022, §3.2).

For an image with features f (C×h×w) and class k, the soft mask is M_k = ReLU(w_k·f) / (max over space + 1e-5) and the
re-activated feature is F_k = mean over space of M_k ⊗ f. The published code materialises B×K×C×h×w; here the classes
present are gathered first and the mean is one batched matrix product, (P×hw)·(hw×C) / hw. Nothing is detached: the
gradient reaches f through the mask, its maximum and the masked feature, all in one product, too.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

EPSILON = 1e-5
ReactivationLoss = Literal["sce", "ce", "bce"]


class Reactivated(NamedTuple):
    """Re-activated features of the present classes, one row per (image, class).

    Attributes:
        features: (N, C), F_k of each pair.
        images: int64 (N,), the pair's image in the batch, ascending.
        classes: int64 (N,), the pair's class.
    """

    features: Tensor
    images: Tensor
    classes: Tensor


def spatial_normalised(scores: Tensor) -> Tensor:
    """Divide ReLU(scores) by its maximum over the last two axes plus 1e-5: values in [0, 1)."""
    positive = F.relu(scores)
    return positive / (positive.amax(dim=(-2, -1), keepdim=True) + EPSILON)


def reactivate(features: Tensor, weight: Tensor, targets: Tensor) -> Reactivated:
    """Select features by the class maps of the classes present.

    Args:
        features: (B, C, h, w), any floating dtype.
        weight: FC1's weight (K, C).
        targets: multi-hot labels (B, K); a pair exists where the value is > 0.

    Returns:
        The re-activated features of all N present pairs, float32.
    """
    batch, channels = features.shape[:2]
    images, classes = (targets > 0).nonzero(as_tuple=True)
    if len(images) == 0:
        return Reactivated(features.new_zeros((0, channels), dtype=torch.float32), images, classes)
    # Row r of an image's block holds its r-th class; blocks of images with fewer classes end in zero rows.
    counts = torch.bincount(images, minlength=batch)
    row = torch.arange(len(images), device=images.device) - (counts.cumsum(0) - counts)[images]
    rows = int(counts.max())
    slots = images * rows + row
    chosen = torch.zeros(batch * rows, channels, dtype=torch.float32, device=features.device)
    chosen = chosen.index_copy(0, slots, weight[classes].float()).view(batch, rows, channels)
    pooled: Tensor = _MaskedPooling.apply(features.float().flatten(2), chosen)  # type: ignore[no-untyped-call]
    return Reactivated(pooled.flatten(0, 1)[slots], images, classes)


class _MaskedPooling(torch.autograd.Function):
    """Maps features (B, C, S) and weights (B, P, C) to mean over S of M ⊗ f, (B, P, C).

    The gradient with respect to the features has two terms, through the mean and through the mask; both have the form
    (C×P)·(P×S), so they are one product of the stacked factors, and no second map of the features' size exists.
    """

    @staticmethod
    def forward(ctx: Any, flat: Tensor, weights: Tensor) -> Tensor:
        positive = F.relu(weights @ flat)
        peak = positive.amax(dim=2, keepdim=True)
        masks = positive / (peak + EPSILON)
        ctx.save_for_backward(flat, weights, positive, peak)
        return torch.bmm(masks, flat.transpose(1, 2)) / flat.shape[2]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        flat, weights, positive, peak = ctx.saved_tensors
        gradient = gradient / flat.shape[2]
        masks = positive / (peak + EPSILON)
        on_masks = gradient @ flat
        # M = R / (max R + ε): directly, and through the maximum, which shares its gradient among equal peaks.
        on_peak = -(on_masks * masks).sum(dim=2, keepdim=True) / (peak + EPSILON)
        at_peak = (positive == peak).to(flat.dtype)
        on_scores = on_masks / (peak + EPSILON) + on_peak * at_peak / at_peak.sum(dim=2, keepdim=True)
        on_scores = on_scores * (positive > 0)
        on_flat = torch.bmm(torch.cat([weights, gradient], 1).transpose(1, 2), torch.cat([on_scores, masks], 1))
        return on_flat, torch.bmm(on_scores, flat.transpose(1, 2))


def reactivation_loss(
    reactivated: Reactivated,
    fc2_weight: Tensor,
    batch_size: int,
    kind: ReactivationLoss = "sce",
    pairs: Tensor | None = None,
) -> Tensor:
    """Return the loss of FC2 on re-activated features.

    Args:
        reactivated: as from `reactivate`.
        fc2_weight: FC2's weight (K, C).
        batch_size: B; images without labels count in it (published COCO behaviour).
        kind: "sce" is ReCAM's: softmax cross-entropy over all K classes with the pair's own class as target, mean over
            an image's pairs, then over B, so that every image weighs the same. For the ablation, "ce" is the same
            cross-entropy averaged over all pairs instead (an image weighs by its number of classes), and "bce" the
            multi-label soft margin loss with the one-hot target.
        pairs: of the batch that these images are a part of, whose size is `batch_size`, the number of pairs: the
            parts' losses then add up to that batch's.

    Returns:
        A scalar; zero, but still part of the graph, when no image of the batch has a label.
    """
    logits = reactivated.features @ fc2_weight.float().t()
    if len(logits) == 0:
        return (fc2_weight * 0).sum()
    if kind == "bce":
        one_hot = F.one_hot(reactivated.classes, logits.shape[1]).to(logits.dtype)
        per_pair = F.multilabel_soft_margin_loss(logits, one_hot, reduction="none")
    else:
        per_pair = F.cross_entropy(logits, reactivated.classes, reduction="none")
    if kind == "ce":
        return per_pair.mean() if pairs is None else per_pair.sum() / pairs
    counts = torch.bincount(reactivated.images, minlength=batch_size)
    return (per_pair / counts[reactivated.images]).sum() / batch_size
