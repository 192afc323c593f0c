"""Pictures of single objects, drawn by worker processes and kept in memory: what a backbone is pre-trained on."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial

import numpy as np

from recam_cli.core.data.shapes.objects import CLASSES as PRETRAIN_CATEGORIES
from recam_cli.core.data.shapes.scene import render_scene
from recam_cli.core.data.shapes.spec import ShapesSpec
from recam_cli.core.reporter import Reporter
from recam_cli.core.training.workers import made_ahead

_CHUNK = 16
_Key = tuple[int, int, int, int]


@dataclass(frozen=True)
class SinglePictures:
    """Pictures and what each shows.

    Attributes:
        pixels: uint8 (N, side, side, 3), RGB.
        categories: int64 (N,), indices into `PRETRAIN_CATEGORIES`; all equally frequent.
    """

    pixels: np.ndarray
    categories: np.ndarray

    def __len__(self) -> int:
        return len(self.categories)

    def one_hot(self) -> np.ndarray:
        """Return the categories as float32 (N, number of categories)."""
        return np.asarray(np.eye(len(PRETRAIN_CATEGORIES), dtype=np.float32)[self.categories])


def draw_single_pictures(
    count: int, side: int, seed: int, part: int, *, workers: int, reporter: Reporter
) -> SinglePictures:
    """Draw pictures that follow from (seed, part, number) alone, whatever the number of workers.

    Args:
        count: how many.
        side: of the square pictures, in pixels.
        seed: of all random choices.
        part: keeps pictures for training (0) and for measuring (1) apart.
        workers: processes; 0 draws in this one.
        reporter: receives progress.
    """
    keys = [(seed, part, number, side) for number in range(count)]
    pixels = np.empty((count, side, side, 3), dtype=np.uint8)
    with reporter.track("Drawing pictures", count) as progress:
        if workers == 0:
            for number, key in enumerate(keys):
                pixels[number] = _draw(key)
                progress.advance()
        else:
            chunks = [range(i, min(i + _CHUNK, count)) for i in range(0, count, _CHUNK)]
            drawn = made_ahead(partial(_draw_some, keys), chunks, min(workers, len(chunks)), _names)
            with closing(drawn):
                for chunk, (pictures,) in zip(chunks, drawn, strict=True):
                    pixels[chunk.start : chunk.stop] = pictures
                    progress.advance(len(chunk))
    return SinglePictures(pixels, np.arange(count, dtype=np.int64) % len(PRETRAIN_CATEGORIES))


def _draw(key: _Key) -> np.ndarray:
    seed, part, number, side = key
    category = number % len(PRETRAIN_CATEGORIES)
    rng = np.random.default_rng([seed, part, number])
    return render_scene(rng, ShapesSpec(size=(side, side)), [category])[0]


def _draw_some(keys: Sequence[_Key], numbers: range) -> list[np.ndarray]:
    return [np.stack([_draw(keys[number]) for number in numbers])]


def _names(numbers: range) -> list[str]:
    return [f"picture {number}" for number in numbers]
