"""Photographs read ahead by threads and handed out in batches of equal size."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from recam_cli.core.data.images import read_image, read_size
from recam_cli.core.data.samples import Sample


class PhotoBatch(NamedTuple):
    """Samples and their photographs, uint8 (H, W, 3), all of one size."""

    samples: list[Sample]
    images: list[np.ndarray]


def equal_size_groups(samples: Iterable[Sample], batch_size: int, max_pixels: int) -> Iterator[list[Sample]]:
    """Yield the samples in groups of equal image size, at most `batch_size` each.

    Only headers are read. A group is handed out as soon as it is full, so that at most `batch_size` samples per
    distinct size wait; the order follows from the samples alone.
    """
    waiting: dict[tuple[int, int], list[Sample]] = {}
    for sample in samples:
        size = read_size(sample.image, max_pixels=max_pixels)
        group = waiting.setdefault(size, [])
        group.append(sample)
        if len(group) == batch_size:
            yield waiting.pop(size)
    yield from waiting.values()


def read_batches(
    samples: Iterable[Sample], batch_size: int, *, max_pixels: int, workers: int = 2
) -> Iterator[PhotoBatch]:
    """Yield the photographs in batches of equal size, read ahead by `workers` threads (0: none).

    Raises:
        DataError: a photograph cannot be read.
    """

    def load(group: list[Sample]) -> PhotoBatch:
        return PhotoBatch(group, [read_image(s.image, max_pixels=max_pixels) for s in group])

    groups = equal_size_groups(samples, batch_size, max_pixels)
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
