"""Batches whose content follows from (seed, epoch, index) alone, whatever the number of workers."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from recam_cli.core.data.images import read_image, read_mask
from recam_cli.core.data.samples import Sample
from recam_cli.core.data.transforms import Augmentation
from recam_cli.core.errors import RecamError, TrainingError
from recam_cli.core.processes import end_with_parent


class Item(NamedTuple):
    """One augmented sample: image (3, h, w), labels (K,) multi-hot, mask (h, w) int64 or empty, position in the set."""

    image: Tensor
    labels: Tensor
    mask: Tensor
    position: int


class Batch(NamedTuple):
    """Stacked items: images (B, 3, h, w), labels (B, K), masks (B, h, w) int64 or (B, 0), indices (B,)."""

    images: Tensor
    labels: Tensor
    masks: Tensor
    indices: Tensor


@dataclass(frozen=True)
class TrainingImages(Dataset[Item]):
    """Samples read from disk and augmented.

    Attributes:
        samples: the images; with `masks`, each has a mask.
        targets: float32 (N, K) multi-hot labels.
        augmentation: what is drawn for each image.
        seed: from which, with epoch and index, each draw follows.
        masks: whether to read masks, too.
        max_pixels: refuse larger images.
    """

    samples: tuple[Sample, ...]
    targets: np.ndarray
    augmentation: Augmentation
    seed: int
    max_pixels: int
    masks: bool = False

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, key: tuple[int, int]) -> Item:
        """Return the item of `key` = (epoch, index).

        Raises:
            DataError: the image or its mask cannot be read.
        """
        epoch, index = key
        sample = self.samples[index]
        image = read_image(sample.image, max_pixels=self.max_pixels)
        mask = read_mask(sample.mask) if self.masks and sample.mask is not None else None
        rng = np.random.default_rng((self.seed, epoch, index))
        pixels, labels = self.augmentation(image, mask, rng)
        return Item(
            torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1))),
            torch.from_numpy(self.targets[index]),
            torch.empty(0, dtype=torch.int64) if labels is None else torch.from_numpy(labels.astype(np.int64)),
            index,
        )


def epoch_batches(count: int, batch_size: int, seed: int, epoch: int) -> list[list[tuple[int, int]]]:
    """Return the shuffled (epoch, index) keys of one epoch in batches.

    A last incomplete batch is dropped, as published, unless it is the only one.
    """
    order = np.random.default_rng((seed, epoch)).permutation(count)
    full = max(1, count // batch_size)
    return [[(epoch, int(i)) for i in order[b * batch_size : (b + 1) * batch_size]] for b in range(full)]


def batches_per_epoch(count: int, batch_size: int) -> int:
    """Return how many batches `epoch_batches` makes."""
    return max(1, count // batch_size)


@dataclass(frozen=True)
class _Careful(Dataset[Item | RecamError]):
    """Hands errors over as items: the loader would wrap what a worker raises into its traceback."""

    data: TrainingImages

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, key: tuple[int, int]) -> Item | RecamError:
        name = self.data.samples[key[1]].id
        try:
            return self.data[key]
        except RecamError as error:
            return error
        except MemoryError:
            return RecamError(f"{name}: not enough memory", remedy="Use fewer --workers or a smaller --batch-size")
        except Exception as error:
            return RecamError(f"{name}: {type(error).__name__}: {error}")


def load_batches(data: TrainingImages, keys: list[list[tuple[int, int]]], workers: int) -> Iterator[Batch]:
    """Yield the batches of `keys` in order, read by `workers` processes (0: in this one).

    Raises:
        DataError: an image or mask cannot be read.
        TrainingError: a process was killed, most likely for want of memory.
    """
    loader: DataLoader[Batch | RecamError] = DataLoader(
        _Careful(data),  # type: ignore[arg-type]
        batch_sampler=keys,
        num_workers=min(workers, len(keys)),
        collate_fn=_stack,
        worker_init_fn=_prepare_worker,
        generator=torch.Generator(),  # else each epoch would draw from torch's global one, from which dropout draws
    )
    try:
        for batch in loader:
            if isinstance(batch, RecamError):
                raise batch
            yield batch
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise TrainingError(
            "a process that reads images was killed, most likely for want of memory",
            remedy="Use fewer --workers or a smaller --batch-size",
        ) from error


def _stack(items: list[Item | RecamError]) -> Batch | RecamError:
    whole = [item for item in items if isinstance(item, Item)]
    if len(whole) < len(items):
        return next(item for item in items if isinstance(item, RecamError))
    images, labels, masks, indices = zip(*whole, strict=True)
    return Batch(torch.stack(images), torch.stack(labels), torch.stack(masks), torch.tensor(indices))


def _prepare_worker(_: int) -> None:
    """One thread each, and Ctrl-C left to the parent, which ends its workers itself."""
    end_with_parent()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
