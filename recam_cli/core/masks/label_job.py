"""The making of confident labels on one image, whatever the rule, picklable for worker processes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from recam_cli.core.cams.store import Seed, read_seed_of
from recam_cli.core.data.images import read_image, read_mask, read_size, write_mask
from recam_cli.core.data.samples import BACKGROUND, IGNORE, Sample


class LabelRule(Protocol):
    """Makes the confident labels of one image, uint8 (H, W): 0, class id + 1, or 255 where undecided; picklable."""

    def __call__(self, image: np.ndarray, seed: Seed) -> np.ndarray:
        """Make those of `image` uint8 (H, W, 3) RGB, the working copy that the seed was made of.

        Raises:
            DataError: image and seed do not belong together.
            UsageError: the CRF's backend is not installed.
        """
        ...


@dataclass(frozen=True)
class LabelTally:
    """Pixels of one image: all, those undecided, and those of objects."""

    pixels: int
    undecided: int
    objects: int


@dataclass(frozen=True)
class LabelJob:
    """Writes the confident labels of one sample as `<id>.png`, at its working size; picklable, for worker processes.

    Attributes:
        seeds: folder of `<id>.npz`.
        labels: folder of `<id>.png`.
        rule: how they are made.
        max_pixels: largest accepted image.
        work_side: longest side of working copies, as of the seeds; 0: the photograph's own.
    """

    seeds: Path
    labels: Path
    rule: LabelRule
    max_pixels: int
    work_side: int = 0

    def __call__(self, sample: Sample) -> LabelTally:
        """Make and write the labels; errors as the rule."""
        image = read_image(sample.image, max_pixels=self.max_pixels, longest=self.work_side)
        seed = read_seed_of(sample, self.seeds)
        labels = self.rule(image, seed)
        seed.require_photo(read_size(sample.image, max_pixels=self.max_pixels))
        write_mask(self.labels / f"{sample.id}.png", labels)
        return _tally(labels)

    def tally_of_kept(self, sample: Sample) -> LabelTally:
        """Return the tally of labels that are there already."""
        return _tally(read_mask(self.labels / f"{sample.id}.png", max_pixels=self.max_pixels))


def _tally(labels: np.ndarray) -> LabelTally:
    undecided, background = int((labels == IGNORE).sum()), int((labels == BACKGROUND).sum())
    return LabelTally(int(labels.size), undecided, int(labels.size) - undecided - background)
