"""Cross-entropy of logit maps against masks: 255 ignored, optionally balanced between foreground and background."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from recam_cli.core.data.samples import BACKGROUND, IGNORE


def segmentation_loss(
    maps: Sequence[Tensor], masks: Tensor, *, stride: int = 4, balanced: bool = False, of: Tensor | None = None
) -> Tensor:
    """Return the sum of the maps' cross-entropies (DeepLab v2 puts one on each scale and on their maximum).

    Logits and masks meet on a grid of one cell per `stride` pixels: the logits are resized to it bilinearly, the
    masks take the value at each cell's centre. Stride 1 is the full mask; the backbone's own stride compares the
    logits as they are, which is how DeepLab v2 was published, with coarse edges. Stride 4 costs a sixteenth of the
    full mask.

    Args:
        maps: each (B, K + 1, h, w), of any float type; the loss itself is computed in float32.
        masks: int64 (B, H, W), 0..K or 255.
        stride: pixels per cell of the grid; maps coarser than `maps[0]` keep to the same grid.
        balanced: average over foreground and over background pixels apart, then over these two (as DSRG does),
            so that a large background does not drown the objects.
        of: `cell_counts` of the batch that these are a part of: the parts' losses then add up to that batch's.

    Returns:
        A scalar; 0, with zero gradients, where every pixel is ignored.
    """
    targets = _targets(masks, stride)
    size = list(targets.shape[1:])
    total = maps[0].new_zeros((), dtype=torch.float32)
    for logits in maps:
        resized = F.interpolate(logits.float(), size=size, mode="bilinear", align_corners=False)
        total = total + _cross_entropy(resized, targets, balanced, of)
    return total


def cell_counts(masks: Tensor, stride: int = 4) -> Tensor:
    """Return what the means of `segmentation_loss` are taken over, (2,): cells of background, and of objects."""
    targets = _targets(masks, stride)
    background, ignored = (targets == BACKGROUND).sum(), (targets == IGNORE).sum()
    return torch.stack([background, targets.numel() - ignored - background])


def _targets(masks: Tensor, stride: int) -> Tensor:
    return shrunken_masks(masks, [max(1, round(side / stride)) for side in masks.shape[1:]])


def shrunken_masks(masks: Tensor, size: Sequence[int]) -> Tensor:
    """Return masks (B, H, W) at (h, w) `size`, each cell taking the value at its centre."""
    rows, columns = (
        ((torch.arange(cells, device=masks.device) + 0.5) * (length / cells)).long().clamp(max=length - 1)
        for cells, length in zip(size, masks.shape[1:], strict=True)
    )
    return masks[:, rows][:, :, columns]


def pixel_rows(logits: Tensor) -> Tensor:
    """Return logits (B, V, h, w) as one row per pixel, (B·h·w, V).

    Their cross-entropy has a form on CUDA that gives the same bits each time, which that of maps has not.
    """
    return logits.permute(0, 2, 3, 1).flatten(0, 2)


def _cross_entropy(logits: Tensor, masks: Tensor, balanced: bool, of: Tensor | None) -> Tensor:
    counted = masks != IGNORE
    if not bool(counted.any()):
        return logits.sum() * 0.0
    if logits.is_cuda and torch.are_deterministic_algorithms_enabled():
        logits, masks, counted = pixel_rows(logits), masks.flatten(), counted.flatten()
    if not balanced:
        if of is None:
            return F.cross_entropy(logits, masks, ignore_index=IGNORE)
        return F.cross_entropy(logits, masks, ignore_index=IGNORE, reduction="sum") / of.sum()
    losses = F.cross_entropy(logits, masks, ignore_index=IGNORE, reduction="none")
    background = masks == BACKGROUND
    kinds = (background, counted & ~background)
    if of is None:
        return torch.stack([losses[part].mean() for part in kinds if bool(part.any())]).mean()
    sums = torch.stack([losses[part].sum() for part in kinds])
    return (sums / of.clamp(min=1)).sum() / (of > 0).sum()
