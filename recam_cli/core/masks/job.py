"""The work of make-masks on one image, picklable for worker processes, and the count of what came out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recam_cli.core.cams.store import read_seed
from recam_cli.core.data.images import read_image, read_mask, write_mask
from recam_cli.core.data.samples import BACKGROUND, Sample
from recam_cli.core.masks.crf import CrfParameters
from recam_cli.core.masks.refine import Refinement, refine_seed
from recam_cli.core.settings.make_masks import MakeMasksSettings


@dataclass(frozen=True)
class MaskTally:
    """One mask in numbers.

    Attributes:
        pixels: all of them.
        background: those of value 0.
        lost: labelled classes of which the mask has no pixel.
    """

    pixels: int
    background: int
    lost: int


@dataclass(frozen=True)
class MaskJob:
    """Makes the mask of one sample: calls itself with the sample, writes `<id>.png`, returns the tally.

    Attributes:
        seeds: folder of `<id>.npz`.
        masks: folder of `<id>.png`.
        threshold: the background's score.
        how: the dense CRF, or None to cut the seed at the threshold only.
        max_pixels: largest accepted image.
    """

    seeds: Path
    masks: Path
    threshold: float
    how: Refinement | None
    max_pixels: int

    def __call__(self, sample: Sample) -> MaskTally:
        """Make and write the sample's mask.

        Raises:
            DataError: its image or seed cannot be used, or they do not belong together.
            RunError: the mask cannot be written.
        """
        mask = self.mask_of(sample)
        write_mask(self.masks / f"{sample.id}.png", mask)
        return tally(mask, sample)

    def mask_of(self, sample: Sample) -> np.ndarray:
        """Return the sample's mask, uint8 (H, W), without writing it; errors as above."""
        seed = read_seed(self.seeds / f"{sample.id}.npz")
        seed.require_labels(sample.id, sample.labels)
        if self.how is None:
            return seed.label(self.threshold)
        image = read_image(sample.image, max_pixels=self.max_pixels)
        return refine_seed(image, seed, self.threshold, self.how)

    def tally_of_kept(self, sample: Sample) -> MaskTally:
        """Return the tally of a mask that is there already.

        Raises:
            DataError: it cannot be read.
        """
        return tally(read_mask(self.masks / f"{sample.id}.png", max_pixels=self.max_pixels), sample)


class Summary:
    """Adds up the tallies of many masks."""

    def __init__(self) -> None:
        self.made = 0
        self.kept = 0
        self.lost_classes = 0
        self._pixels = 0
        self._background = 0

    def make(self, one: MaskTally) -> None:
        """Count a mask made now."""
        self.made += 1
        self._add(one)

    def keep(self, one: MaskTally) -> None:
        """Count a mask that was there."""
        self.kept += 1
        self._add(one)

    @property
    def background(self) -> float:
        """Share of background among all pixels; 0 without any."""
        return self._background / self._pixels if self._pixels else 0.0

    def as_dict(self) -> dict[str, float | int]:
        """Return the figures for the manifest."""
        return {
            "made": self.made,
            "kept": self.kept,
            "background": round(self.background, 6),
            "lost_classes": self.lost_classes,
        }

    def _add(self, one: MaskTally) -> None:
        self.lost_classes += one.lost
        self._pixels += one.pixels
        self._background += one.background


def tally(mask: np.ndarray, sample: Sample) -> MaskTally:
    """Count a mask's pixels, uint8 (H, W), against its sample's labels."""
    counts = np.bincount(mask.ravel(), minlength=256)
    lost = sum(1 for label in sample.labels if counts[label + 1] == 0)
    return MaskTally(int(mask.size), int(counts[BACKGROUND]), lost)


def refinement_of(settings: MakeMasksSettings, device: str = "cpu") -> Refinement:
    """Return the dense CRF that the settings ask for, on `device`."""
    return Refinement(
        parameters=CrfParameters(
            gaussian_sxy=settings.crf_gaussian_sxy,
            gaussian_compat=settings.crf_gaussian_compat,
            bilateral_sxy=settings.crf_bilateral_sxy,
            bilateral_srgb=settings.crf_bilateral_srgb,
            bilateral_compat=settings.crf_bilateral_compat,
            iterations=settings.crf_iterations,
        ),
        unary=settings.unary,
        certainty=settings.crf_certainty,
        scaling=settings.soft_scaling,
        temperature=settings.soft_temperature,
        backend=settings.crf,
        device=device,
    )
