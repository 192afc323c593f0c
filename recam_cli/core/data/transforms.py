"""Augmentation and normalisation, on uint8 arrays, every random choice drawn from a given generator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from recam_cli.core.data.samples import IGNORE
from recam_cli.core.data.sizes import Size, size_at

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
_MEAN = np.array(IMAGENET_MEAN, dtype=np.float32) * 255
_SCALE = 1 / (np.array(IMAGENET_STD, dtype=np.float32) * 255)


def normalise(image: np.ndarray) -> np.ndarray:
    """Map uint8 (H, W, 3) RGB to float32 (H, W, 3) with ImageNet's mean and standard deviation."""
    return ((image.astype(np.float32) - _MEAN) * _SCALE).astype(np.float32)


def to_tensor(image: np.ndarray) -> Tensor:
    """Return uint8 (H, W, 3) RGB as a normalised float32 tensor (3, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(normalise(image).transpose(2, 0, 1)))


def resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize uint8 (H, W, 3) to (height, width) `size`: bicubic, by area where it shrinks by more than 2."""
    height, width = size
    if (height, width) == image.shape[:2]:
        return image
    shrinking = height * 2 < image.shape[0] or width * 2 < image.shape[1]
    method = cv2.INTER_AREA if shrinking else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (width, height), interpolation=method))


def resized_mask(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize a uint8 (H, W) mask to (height, width) `size`, nearest."""
    height, width = size
    if (height, width) == mask.shape:
        return mask
    return np.asarray(cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST_EXACT))


@dataclass(frozen=True)
class Augmentation:
    """Random long side, mirror, square crop (recipe §1.6).

    Attributes:
        long_side: (smallest, largest) length of the longer side after resizing, in pixels; drawn uniformly.
        relative: instead of absolute lengths, `scale` factors of the image's own size are drawn.
        scale: (smallest, largest) factor, used when `relative`.
        crop: side of the square crop; smaller images lie at a random offset on a canvas of the mean colour.
        jitter: largest relative change of brightness, contrast and saturation; 0 for none.
    """

    crop: int
    long_side: tuple[int, int] = (320, 640)
    relative: bool = False
    scale: tuple[float, float] = (0.5, 1.5)
    jitter: float = 0.0

    @classmethod
    def within(cls, crop: int, scale: Sequence[float], side: Sequence[int], *, jitter: float = 0.0) -> Augmentation:
        """Return that of longer sides `side` in pixels (smallest, largest); where these are 0, of factors `scale`."""
        ranges = (side[0], side[1]), (scale[0], scale[1])
        return cls(crop, long_side=ranges[0], relative=not side[1], scale=ranges[1], jitter=jitter)

    @property
    def mean(self) -> tuple[float, int]:
        """The mean factor of an image's size, and the mean longer side in pixels; that which is not drawn is 0."""
        return (sum(self.scale) / 2, 0) if self.relative else (0.0, max(1, round(sum(self.long_side) / 2)))

    def __call__(
        self, image: np.ndarray, mask: np.ndarray | None, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Augment one image and its mask alike.

        Args:
            image: uint8 (H, W, 3).
            mask: uint8 (H, W) or None.
            rng: the only source of randomness.

        Returns:
            float32 (crop, crop, 3) normalised, zero outside the image; uint8 (crop, crop), 255 outside it, or None.
        """
        height, width = image.shape[:2]
        if self.relative:
            factor = rng.uniform(*self.scale)
        else:
            factor = rng.integers(max(1, self.long_side[0]), self.long_side[1] + 1) / max(height, width)
        size = max(1, round(height * factor)), max(1, round(width * factor))
        image = resized(image, size)
        mask = None if mask is None else resized_mask(mask, size)
        if rng.random() < 0.5:
            image = image[:, ::-1]
            mask = None if mask is None else mask[:, ::-1]
        if self.jitter:
            image = _jittered(image, self.jitter, rng)
        return self._cropped(image, mask, rng)

    def _cropped(
        self, image: np.ndarray, mask: np.ndarray | None, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray | None]:
        source, target = [], []
        for length in image.shape[:2]:
            slack = length - self.crop
            offset = int(rng.integers(0, abs(slack) + 1))
            used = min(length, self.crop)
            source.append(slice(offset, offset + used) if slack > 0 else slice(0, used))
            target.append(slice(0, used) if slack > 0 else slice(offset, offset + used))
        canvas = np.zeros((self.crop, self.crop, 3), dtype=np.float32)
        canvas[target[0], target[1]] = normalise(image[source[0], source[1]])
        if mask is None:
            return canvas, None
        labels = np.full((self.crop, self.crop), IGNORE, dtype=np.uint8)
        labels[target[0], target[1]] = mask[source[0], source[1]]
        return canvas, labels


def _jittered(image: np.ndarray, amount: float, rng: np.random.Generator) -> np.ndarray:
    brightness, contrast, saturation = 1 + rng.uniform(-amount, amount, size=3)
    pixels = image.astype(np.float32) * brightness
    pixels = (pixels - pixels.mean()) * contrast + pixels.mean()
    grey = pixels @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    pixels = (pixels - grey[..., None]) * saturation + grey[..., None]
    return np.asarray(np.clip(pixels, 0, 255), dtype=np.uint8)


def enlarged_size(size: Size, scale: float, *, side: int = 0) -> Size:
    """Return the size that `enlarged` brings photographs of `size` to."""
    if side:
        return size_at(size[0], size[1], side)
    return max(1, round(scale * size[0])), max(1, round(scale * size[1]))


def enlarged(images: Sequence[np.ndarray], scale: float, device: torch.device, *, side: int = 0) -> Tensor:
    """Return photographs of one size, uint8 (H, W, 3), as normalised (B, 3, scale·H, scale·W), 1 pixel at least.

    They lie on `device`, in the memory layout that is fastest there.

    Args:
        images: the photographs.
        scale: factor of their size.
        device: where the result lies.
        side: instead of `scale`, their longer side in pixels; 0: `scale` counts.
    """
    size = enlarged_size((images[0].shape[0], images[0].shape[1]), scale, side=side)
    pixels = torch.stack([to_tensor(resized(image, size)) for image in images])
    pixels = pixels.to(device)
    return pixels if device.type == "mps" else pixels.contiguous(memory_format=torch.channels_last)
