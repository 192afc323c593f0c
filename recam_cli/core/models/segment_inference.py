"""From photographs to masks: multi-scale, mirrored inference of a segmenter, and the dense CRF behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from recam_cli.core.data.samples import BACKGROUND
from recam_cli.core.data.sizes import Size, size_at
from recam_cli.core.data.transforms import resized, to_tensor
from recam_cli.core.errors import NotFiniteError, UsageError
from recam_cli.core.footprint import Looking
from recam_cli.core.hardware import autocast, under_autocast
from recam_cli.core.masks.crf import DEEPLAB, CrfParameters, DenseCrf
from recam_cli.core.masks.unary import soft_unary
from recam_cli.core.models.segmenters import Segmenter
from recam_cli.core.models.upscale import upscaled_mask

CRF_FLOOR = 0.05
"""Mask values that nowhere reach this probability stay out of the CRF, whose time grows with their number."""

_MAPS = 4
"""Maps of a photograph's size that live at once for each value: the sum, a view's logits, their copy, their shares."""


@torch.inference_mode()
def predict_probabilities(
    segmenter: Segmenter,
    images: Sequence[np.ndarray],
    *,
    scales: Sequence[float] = (1.0,),
    side: int = 0,
    flip: bool = True,
    precision: str = "fp32",
    names: Sequence[str] | None = None,
    cells: Size | None = None,
) -> Tensor:
    """Return each pixel's distribution over the mask values, averaged over scales and mirror images.

    Args:
        segmenter: on the device to compute on; left in evaluation mode.
        images: B photographs, uint8 (H, W, 3) RGB, all of one size.
        scales: factors of the photograph's size, or of `side`.
        side: longer side in pixels at which the network sees the photographs at scale 1; 0: their own.
        flip: whether the mirrored images count, too.
        precision: "fp32" or "bf16".
        names: the photographs', for messages.
        cells: (rows, columns) of the grid over the photograph to answer on, if not that of its pixels.

    Returns:
        float32 (B, K + 1, H, W), or (B, K + 1, rows, columns), summing to 1 over the values, on the segmenter's device.

    Raises:
        UsageError: no scale, or one that is not positive.
        NotFiniteError: the network's output of a photograph is not finite.
    """
    if not scales or min(scales) <= 0:
        raise UsageError(f"scales {tuple(scales)} for prediction must be one or more numbers greater than 0")
    segmenter.eval()
    device = next(segmenter.parameters()).device
    height, width = images[0].shape[:2]
    answered = cells or (height, width)
    total = torch.zeros(len(images), segmenter.num_values, *answered, device=device)
    finite = torch.ones(len(images), dtype=torch.bool, device=device)
    for scale in scales:
        base = size_at(height, width, side) if side else (height, width)
        size = max(1, round(base[0] * scale)), max(1, round(base[1] * scale))
        batch = torch.stack([to_tensor(resized(image, size)) for image in images]).to(device)
        for mirrored in (False, True) if flip else (False,):
            view = batch.flip(3) if mirrored else batch
            if device.type != "mps":
                view = view.contiguous(memory_format=torch.channels_last)
            with autocast(device, precision):
                logits = segmenter.logits(view).float()
            finite &= logits.isfinite().flatten(1).all(dim=1)
            logits = logits.flip(3) if mirrored else logits
            grown = F.interpolate(logits, size=answered, mode="bilinear", align_corners=False)
            total += grown.contiguous().softmax(dim=1)
    _require_finite(finite, names)
    return total.div_(len(scales) * (2 if flip else 1))


def _require_finite(finite: Tensor, names: Sequence[str] | None) -> None:
    wrong = (~finite).nonzero().flatten().tolist()
    if wrong:
        name = names[wrong[0]] if names is not None else "a photograph"
        raise NotFiniteError(
            f"{name}: the segmenter's output of this image holds NaN or infinite values",
            remedy="Check its weights, or compute with --precision fp32; finished images are kept",
        )


def refine_probabilities(
    image: np.ndarray,
    probabilities: np.ndarray,
    *,
    parameters: CrfParameters = DEEPLAB,
    name: str = "a photograph",
) -> np.ndarray:
    """Return the distribution after the dense CRF (DeepLab's parameters).

    Args:
        image: uint8 (H, W, 3) RGB.
        probabilities: float32 (K + 1, H, W).
        parameters: pairwise kernels and iterations.
        name: the photograph's, for messages.

    Returns:
        float32 (K + 1, H, W), zero for values that nowhere reached `CRF_FLOOR` (background always takes part).

    Raises:
        UsageError: the CRF's library is not installed.
        NotFiniteError: its probabilities are not finite.
    """
    peaks = probabilities.max(axis=(1, 2))
    peaks[BACKGROUND] = 1.0
    kept = np.flatnonzero(peaks >= CRF_FLOOR)
    crf = DenseCrf(image, len(kept), parameters)
    refined = np.zeros_like(probabilities)
    try:
        refined[kept] = crf.infer(soft_unary(probabilities[kept]))
    except NotFiniteError as error:
        raise NotFiniteError(f"{name}: {error.message}", remedy=error.remedy) from None
    return refined


def predict_masks(
    segmenter: Segmenter,
    images: Sequence[np.ndarray],
    *,
    scales: Sequence[float] = (1.0,),
    side: int = 0,
    flip: bool = True,
    crf: bool = False,
    precision: str = "fp32",
    sizes: Sequence[Size] | None = None,
    names: Sequence[str] | None = None,
) -> list[np.ndarray]:
    """Return the mask, uint8 (H, W), of each photograph of one size.

    Args:
        segmenter, images, scales, side, flip, precision, names: as of `predict_probabilities`.
        crf: whether the dense CRF refines them.
        sizes: (H, W) of each mask, enlarged from the photograph's probabilities; without them the photographs' own.
    """
    maps = predict_probabilities(
        segmenter, images, scales=scales, side=side, flip=flip, precision=precision, names=names
    )
    own = (images[0].shape[0], images[0].shape[1])
    if not crf and all(size == own for size in sizes or ()):
        return list(maps.argmax(dim=1).to(torch.uint8).cpu().numpy())
    called = names or ["a photograph"] * len(images)
    masks = []
    for image, shares, size, name in zip(images, maps.cpu().numpy(), sizes or [own] * len(images), called, strict=True):
        refined = refine_probabilities(image, shares, name=name) if crf else shares
        masks.append(upscaled_mask(refined, size))
    return masks


@dataclass(frozen=True)
class Predicting:
    """How many photographs a segmenter segments together.

    Attributes:
        looking: what its network may look at.
        values: K + 1.
        scales, side: as of `predict_probabilities`.
    """

    looking: Looking
    values: int
    scales: Sequence[float] = (1.0,)
    side: int = 0

    @classmethod
    def by(
        cls, segmenter: Segmenter, memory: str, what: str, *, scales: Sequence[float], side: int, precision: str
    ) -> Predicting:
        """Return what `memory`, as of `--memory`, allows a segmenter on its device; `what` is done, for messages."""
        device = next(segmenter.parameters()).device
        look = under_autocast(segmenter.eval().logits, device, precision)
        remedy = "use a smaller size or --eval-scales"
        return cls(Looking.by(look, device, memory, what, remedy), segmenter.num_values, scales, side)

    def together(self, count: int, size: Size) -> int:
        """Return how many of `count` photographs of `size` (H, W) are segmented together; errors as of `Looking`."""
        base = size_at(*size, self.side) if self.side else size
        seen = max(self.scales) ** 2 * base[0] * base[1]
        return self.looking.together(count, seen, _MAPS * 4.0 * self.values * size[0] * size[1])


def predict_image(
    segmenter: Segmenter,
    image: np.ndarray,
    *,
    scales: Sequence[float] = (1.0,),
    side: int = 0,
    flip: bool = True,
    crf: bool = False,
    precision: str = "fp32",
    name: str = "a photograph",
) -> tuple[np.ndarray, np.ndarray]:
    """Segment one photograph, uint8 (H, W, 3) RGB, called `name`; the rest as of `predict_probabilities`.

    Returns:
        The mask, uint8 (H, W) of 0..K, and the probabilities behind it, float32 (K + 1, H, W).
    """
    maps = predict_probabilities(
        segmenter, [image], scales=scales, side=side, flip=flip, precision=precision, names=[name]
    )
    probabilities = maps[0].cpu().numpy()
    if crf:
        probabilities = refine_probabilities(image, probabilities, name=name)
    return _argmax(probabilities), probabilities


def _argmax(probabilities: np.ndarray) -> np.ndarray:
    return np.asarray(probabilities.argmax(axis=0), dtype=np.uint8)
