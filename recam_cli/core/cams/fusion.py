"""Multi-scale, mirrored class maps of whole images (recipe §2): what seeds are made of.

Each scale's image and its mirror image run as one batch; scores are ReLU'd before anything is added; every scale's map
is resized to the photograph's grid (not the scaled one's) and summed; at the end each present class is divided by its
spatial maximum + 1e-5.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from recam_cli.core.cams.reactivation import spatial_normalised
from recam_cli.core.cams.store import STRIDE
from recam_cli.core.data.sizes import Size, size_at
from recam_cli.core.data.transforms import resized, to_tensor
from recam_cli.core.memory import parts_of

SCALES = (1.0, 0.5, 1.5, 2.0)


@torch.inference_mode()
def class_maps(
    features: Callable[[Tensor], Tensor],
    weight: Tensor,
    images: Sequence[np.ndarray],
    *,
    scales: Sequence[float] = SCALES,
    sides: Sequence[int] = (),
    flip: bool = True,
    stride: int = STRIDE,
    work: Size | None = None,
    together: int | None = None,
) -> Tensor:
    """Return summed, unnormalised class maps of photographs of one size.

    Works for any classifier with global average pooling: `features` is everything before the pooling and `weight`
    the linear layer after it.

    Args:
        features: maps normalised images (B, 3, H, W) to (B, C, h, w).
        weight: (K, C), on the device the features come out on.
        images: B photographs, uint8 (H, W, 3) RGB, all of one size.
        scales: factors of the photograph's size.
        sides: instead of these, longer sides in pixels, whatever the photograph's size; without any, or with 0s alone,
            `scales` count.
        flip: whether to add the mirrored image's maps.
        stride: the result has ceil(H / stride) × ceil(W / stride) cells.
        work: (H, W) that the result's grid spans, if not the photograph's.
        together: pixels that are seen together, of several photographs or of one and its mirror image, as far as one
            view has no more; None: all at one size.

    Returns:
        float32 (B, K, h, w), not normalised, on `weight`'s device.
    """
    height, width = images[0].shape[:2]
    cells = tuple(-(-length // stride) for length in work or (height, width))
    sizes = sizes_seen((height, width), scales=scales, sides=sides)
    total = torch.zeros(len(images), len(weight), *cells, device=weight.device)
    for size in sizes:
        views = len(images) * (1 + flip) if together is None else max(1, together // (size[0] * size[1]))
        for part in parts_of(len(images), max(1, views // (1 + flip))):
            scores = _scores(features, weight, images[part], size, flip=flip, apart=views < 1 + flip)
            total[part] += F.interpolate(scores, size=cells, mode="bilinear", align_corners=False)
    return total


def sizes_seen(photograph: Size, *, scales: Sequence[float] = SCALES, sides: Sequence[int] = ()) -> list[Size]:
    """Return the sizes that a photograph (H, W) is brought to; `scales` and `sides` as of `class_maps`."""
    height, width = photograph
    sizes = [size_at(height, width, side) for side in sides if side]
    return sizes or [(max(1, round(height * scale)), max(1, round(width * scale))) for scale in scales]


def _scores(
    features: Callable[[Tensor], Tensor],
    weight: Tensor,
    images: Sequence[np.ndarray],
    size: Size,
    *,
    flip: bool,
    apart: bool,
) -> Tensor:
    """Return the ReLU'd scores (B, K, h, w) of photographs brought to `size`, their mirror images' added.

    These are seen one after the other where `apart`.
    """
    batch = torch.stack([to_tensor(resized(image, size)) for image in images]).to(weight.device)
    if flip and apart:
        return _seen(features, weight, batch) + _seen(features, weight, batch.flip(3)).flip(3)
    scores = _seen(features, weight, torch.cat([batch, batch.flip(3)]) if flip else batch)
    return scores[: len(images)] + scores[len(images) :].flip(3) if flip else scores


def _seen(features: Callable[[Tensor], Tensor], weight: Tensor, views: Tensor) -> Tensor:
    if views.device.type == "cpu":
        views = views.contiguous(memory_format=torch.channels_last)
    return F.relu(torch.einsum("bchw,kc->bkhw", features(views).float(), weight.float()))


def normalised_maps(maps: Tensor, classes: Sequence[int]) -> Tensor:
    """Return the maps (n, h, w) of `classes` out of (K, h, w), each divided by its spatial maximum + 1e-5."""
    return spatial_normalised(maps[list(classes)])
