"""Batches whose content follows from (seed, epoch, index) alone, whatever the number of workers."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from recam_cli.core.data.images import read_image, read_mask
from recam_cli.core.data.samples import Sample
from recam_cli.core.data.transforms import Augmentation, resized_mask
from recam_cli.core.errors import RecamError
from recam_cli.core.resources import lack_of
from recam_cli.core.training.workers import Arrays, made_ahead

Key = tuple[int, int]
"""(epoch, index) of an augmented sample."""


class Item(NamedTuple):
    """One augmented sample: image (3, h, w), labels (K,) multi-hot, mask (h, w) int64 or empty, position in the set."""

    image: Tensor
    labels: Tensor
    mask: Tensor
    position: int


class Batch(NamedTuple):
    """Stacked items: images (B, 3, h, w), labels (B, K), masks (B, h, w) int64 or (B, 0), indices (B,).

    A part of a larger batch has `of`, (n,): what the loss's means are taken over in the whole batch (`Loop.counts`).
    """

    images: Tensor
    labels: Tensor
    masks: Tensor
    indices: Tensor
    of: Tensor | None = None

    def part(self, rows: slice, of: Tensor | None) -> Batch:
        """Return some of the items, as a part of a batch."""
        return Batch(self.images[rows], self.labels[rows], self.masks[rows], self.indices[rows], of)


@dataclass(frozen=True)
class TrainingImages:
    """Samples read from disk and augmented.

    Attributes:
        samples: the images; with `masks`, each has a mask.
        targets: float32 (N, K) multi-hot labels.
        augmentation: what is drawn for each image.
        seed: from which, with epoch and index, each draw follows.
        masks: whether to read masks, too.
        max_pixels: refuse larger images.
        longest: read images at this longer side at most, and their masks, nearest, at the same size; 0: at their own.
    """

    samples: tuple[Sample, ...]
    targets: np.ndarray
    augmentation: Augmentation
    seed: int
    max_pixels: int
    masks: bool = False
    longest: int = 0

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, key: Key) -> Item:
        """Return the item of `key` = (epoch, index).

        Raises:
            DataError: the image or its mask cannot be read.
        """
        epoch, index = key
        sample = self.samples[index]
        image = read_image(sample.image, max_pixels=self.max_pixels, longest=self.longest)
        mask = read_mask(sample.mask) if self.masks and sample.mask is not None else None
        if mask is not None and self.longest:
            mask = resized_mask(mask, (image.shape[0], image.shape[1]))
        rng = np.random.default_rng((self.seed, epoch, index))
        pixels, labels = self.augmentation(image, mask, rng)
        return Item(
            torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1))),
            torch.from_numpy(self.targets[index]),
            torch.empty(0, dtype=torch.int64) if labels is None else torch.from_numpy(labels.astype(np.int64)),
            index,
        )


def epoch_batches(count: int, batch_size: int, seed: int, epoch: int) -> list[list[Key]]:
    """Return the shuffled (epoch, index) keys of one epoch in batches.

    A last incomplete batch is dropped, as published, unless it is the only one.
    """
    order = np.random.default_rng((seed, epoch)).permutation(count)
    full = max(1, count // batch_size)
    return [[(epoch, int(i)) for i in order[b * batch_size : (b + 1) * batch_size]] for b in range(full)]


def batches_per_epoch(count: int, batch_size: int) -> int:
    """Return how many batches `epoch_batches` makes."""
    return max(1, count // batch_size)


def load_batches(data: TrainingImages, keys: list[list[Key]], workers: int) -> Generator[Batch, None, None]:
    """Yield the batches of `keys` in order, read by `workers` processes (0: in this one); close it to end them.

    Raises:
        DataError: an image or mask cannot be read.
        ResourceError: there is not enough memory, or a process was killed, most likely for want of it.
    """
    if workers == 0:
        batches: Generator[Arrays | RecamError, None, None] = (_read(data, batch) for batch in keys)
    else:
        batches = made_ahead(partial(_read, data), keys, min(workers, len(keys)), partial(_ids, data))
    with closing(batches):
        for made in batches:
            if isinstance(made, RecamError):
                raise made
            yield Batch(*map(torch.from_numpy, made))


def _read(data: TrainingImages, keys: list[Key]) -> Arrays | RecamError:
    """Return the arrays of a batch, or the error of the first image that cannot be read, which names it."""
    items: list[Item] = []
    for key in keys:
        try:
            items.append(data[key])
        except Exception as error:
            return _told(error, data.samples[key[1]].id)
    try:
        images, labels, masks, positions = zip(*items, strict=True)
        return [torch.stack(parts).numpy() for parts in (images, labels, masks)] + [np.array(positions)]
    except Exception as error:
        return _told(error, ", ".join(_ids(data, keys)))


def _told(error: Exception, name: str) -> RecamError:
    lack = lack_of(error, name)
    if lack is not None:
        return lack
    return error if isinstance(error, RecamError) else RecamError(f"{name}: {type(error).__name__}: {error}")


def _ids(data: TrainingImages, keys: list[Key]) -> list[str]:
    return [data.samples[index].id for _, index in keys]
