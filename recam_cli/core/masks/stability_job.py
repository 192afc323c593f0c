"""The comparing of one photograph's masks at neighbouring thresholds, picklable for worker processes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recam_cli.core.cams.store import Seed, read_seed_of
from recam_cli.core.data.images import read_image
from recam_cli.core.data.samples import Sample
from recam_cli.core.masks.stability import SIDE, neighbour_ious


@dataclass(frozen=True)
class StabilityJob:
    """Compares the masks of one sample's seed in the folder `seeds`.

    Attributes:
        seeds: of `<id>.npz`.
        max_pixels: largest accepted photograph.
    """

    seeds: Path
    max_pixels: int

    def __call__(self, sample: Sample) -> np.ndarray:
        """Return what `neighbour_ious` does; DataError where the photograph or its seed cannot be read."""
        seed = read_seed_of(sample, self.seeds)
        return neighbour_ious(read_image(sample.image, max_pixels=self.max_pixels, longest=2 * SIDE), seed)


@dataclass(frozen=True)
class HeldSeed:
    """A sample with a seed that is on no disk.

    Attributes:
        sample: the sample.
        seed: its class maps.
    """

    sample: Sample
    seed: Seed


def compare_held(held: HeldSeed, *, max_pixels: int) -> np.ndarray:
    """Return what `neighbour_ious` does of a seed in memory; DataError where the photograph cannot be read."""
    return neighbour_ious(read_image(held.sample.image, max_pixels=max_pixels, longest=2 * SIDE), held.seed)
