"""Photographs read ahead by threads and handed out in batches of equal size."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from recam_cli.core.data.images import read_image, read_size
from recam_cli.core.data.samples import Sample
from recam_cli.core.data.sizes import Size, work_size

Sized = tuple[Sample, Size]
"""A sample and the (height, width) of its photograph."""


class PhotoBatch(NamedTuple):
    """Samples and their photographs.

    Attributes:
        samples: the samples.
        images: of each the photograph as it was read, uint8 (H, W, 3), all of one size.
        sizes: of each the photograph's own (height, width).
    """

    samples: list[Sample]
    images: list[np.ndarray]
    sizes: list[Size]

    @property
    def size(self) -> Size:
        """The (height, width) of the photographs as they were read."""
        return self.images[0].shape[0], self.images[0].shape[1]

    def part(self, rows: slice) -> PhotoBatch:
        """Return the photographs `rows` of it."""
        return PhotoBatch(self.samples[rows], self.images[rows], self.sizes[rows])


def equal_size_groups(
    samples: Iterable[Sample], batch_size: int, max_pixels: int, sides: Sequence[int] = (0,)
) -> Iterator[list[Sized]]:
    """Yield the samples in groups of equal image size, at most `batch_size` each.

    Only headers are read. A group is handed out as soon as it is full, so that at most `batch_size` samples per
    distinct size wait; the order follows from the samples alone.

    Args:
        samples: the samples.
        batch_size: most of a group.
        max_pixels: refuse larger images.
        sides: the `work_size` for each of these longest sides must be equal; 0 means the photograph's own.
    """
    waiting: dict[tuple[Size, ...], list[Sized]] = {}
    for sample in samples:
        size = read_size(sample.image, max_pixels=max_pixels)
        key = tuple(work_size(*size, side) for side in sides)
        group = waiting.setdefault(key, [])
        group.append((sample, size))
        if len(group) == batch_size:
            yield waiting.pop(key)
    yield from waiting.values()


def read_batches(
    samples: Iterable[Sample],
    batch_size: int,
    *,
    max_pixels: int,
    workers: int = 2,
    longest: int = 0,
    work_side: int | None = None,
) -> Iterator[PhotoBatch]:
    """Yield the photographs in batches of equal size, read ahead by `workers` threads (0: none).

    Args:
        samples: the samples.
        batch_size: most of a batch.
        max_pixels: refuse larger images.
        workers: threads.
        longest: read them at this longer side at most, as `read_image`; 0: at their own size.
        work_side: their working copies of this longer side are equal in size, too; without it `longest`.

    Raises:
        DataError: a photograph cannot be read.
    """

    def load(group: list[Sized]) -> PhotoBatch:
        images = [read_image(s.image, max_pixels=max_pixels, longest=longest) for s, _ in group]
        return PhotoBatch([s for s, _ in group], images, [size for _, size in group])

    sides = (longest, longest if work_side is None else work_side)
    groups = equal_size_groups(samples, batch_size, max_pixels, sides)
    if workers == 0:
        yield from map(load, groups)
        return
    with ThreadPoolExecutor(min(workers, 8)) as pool:
        ahead: deque[Future[PhotoBatch]] = deque()
        for group in groups:
            ahead.append(pool.submit(load, group))
            if len(ahead) > workers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
