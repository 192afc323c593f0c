"""The work of make-masks on one image, picklable for worker processes, and the count of what came out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recam_cli.core.cams.store import Seed, label_of, read_seed_of
from recam_cli.core.data.images import read_image, read_mask, read_size, write_mask
from recam_cli.core.data.samples import BACKGROUND, IGNORE, Sample
from recam_cli.core.data.sizes import enlarged_strips, value_counts, winners
from recam_cli.core.masks.confidence import (
    MEAN_FIELD_TEMPERATURE,
    confidence_levels,
    flattened,
    mean_confidence,
    read_confidence,
    unsure,
    write_confidence,
)
from recam_cli.core.masks.crf import CrfParameters
from recam_cli.core.masks.refine import Refinement, SeedRefiner
from recam_cli.core.masks.unary import probabilities, seed_scores
from recam_cli.core.settings.make_masks import MakeMasksSettings


@dataclass(frozen=True)
class MaskTally:
    """One mask in numbers.

    Attributes:
        pixels: all of them.
        background: those of value 0.
        undecided: those of value 255.
        lost: labelled classes of which the mask has no pixel.
        levels: sum of the confidence levels over all pixels.
        object_levels: their sum over the pixels of classes.
    """

    pixels: int
    background: int
    undecided: int
    lost: int
    levels: int
    object_levels: int

    @property
    def objects(self) -> int:
        """Pixels of classes."""
        return self.pixels - self.background - self.undecided


@dataclass(frozen=True)
class MaskJob:
    """Makes the mask of one sample: calls itself with the sample, writes confidence and mask, returns the tally.

    Attributes:
        seeds: folder of `<id>.npz`.
        masks: folder of `<id>.png`.
        confidences: folder of `<id>.png`, the masks' confidence levels.
        threshold: the background's score.
        how: the dense CRF; without it, how scores become a distribution.
        crf: whether the dense CRF refines, or the seed is cut at the threshold only.
        ignore_below: pixels of a lower confidence become 255; 0: none.
        max_pixels: largest accepted image.
        work_side: longest side at which the dense CRF refines, as of the seeds; 0: the photograph's own.
    """

    seeds: Path
    masks: Path
    confidences: Path
    threshold: float
    how: Refinement
    crf: bool
    ignore_below: float
    max_pixels: int
    work_side: int = 0

    def __call__(self, sample: Sample) -> MaskTally:
        """Make and write the sample's confidence, and then its mask, so that a mask that is there has its confidence.

        Raises:
            DataError: its image or seed cannot be used, or they do not belong together.
            RunError: a file cannot be written.
        """
        mask, levels = self.mask_of(sample)
        write_confidence(self.confidences / f"{sample.id}.png", levels)
        write_mask(self.masks / f"{sample.id}.png", mask)
        return tally(mask, levels, sample)

    def mask_of(self, sample: Sample) -> tuple[np.ndarray, np.ndarray]:
        """Return the sample's mask and its confidence levels, each uint8 (H, W), without writing them; errors alike."""
        seed = read_seed_of(sample, self.seeds)
        mask, levels = np.empty(seed.size, dtype=np.uint8), np.empty(seed.size, dtype=np.uint8)
        for rows, labels, sure in self._refined(sample, seed) if self.crf else self._cut(seed):
            mask[rows], levels[rows] = labels, sure
        mask[unsure(levels, self.ignore_below)] = IGNORE
        return mask, levels

    def _refined(self, sample: Sample, seed: Seed) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
        """Yield rows, mask and levels; of a working copy the flattened distribution is enlarged, a strip at a time."""
        image = read_image(sample.image, max_pixels=self.max_pixels, longest=self.work_side)
        refiner = SeedRefiner(image, seed, self.how)
        seed.require_photo(read_size(sample.image, max_pixels=self.max_pixels))
        whole = refiner.probabilities(self.threshold)
        if not seed.reduced:
            labels = np.asarray(refiner.values[whole.argmax(axis=0)])
            yield slice(0, len(image)), labels, confidence_levels(whole, temperature=MEAN_FIELD_TEMPERATURE)
            return
        for rows, shares in enlarged_strips(flattened(whole, MEAN_FIELD_TEMPERATURE), seed.size):
            yield rows, np.asarray(refiner.values[winners(shares)]), confidence_levels(shares)

    def _cut(self, seed: Seed) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
        """Yield rows, mask and levels of the seed itself."""
        for rows, maps in seed.strips():
            scores = seed_scores(maps, self.threshold)
            shares = probabilities(scores, self.how.scaling, temperature=self.how.temperature)
            yield rows, label_of(maps, seed.classes, self.threshold), confidence_levels(shares)

    def tally_of_kept(self, sample: Sample) -> MaskTally:
        """Return the tally of a mask that is there already.

        Raises:
            DataError: it or its confidence cannot be read.
        """
        mask = read_mask(self.masks / f"{sample.id}.png", max_pixels=self.max_pixels)
        path = self.confidences / f"{sample.id}.png"
        return tally(mask, read_confidence(path, mask.shape, max_pixels=self.max_pixels), sample)


class Summary:
    """Adds up the tallies of many masks; the order they come in does not matter.

    Attributes:
        tallies: of each mask, by image id.
    """

    def __init__(self) -> None:
        self.made = 0
        self.kept = 0
        self.tallies: dict[str, MaskTally] = {}
        self._pixels = 0
        self._background = 0
        self._undecided = 0

    def make(self, image: str, one: MaskTally) -> None:
        """Count the mask of image id `image`, made now."""
        self.made += 1
        self._add(image, one)

    def keep(self, image: str, one: MaskTally) -> None:
        """Count a mask that was there."""
        self.kept += 1
        self._add(image, one)

    @property
    def background(self) -> float:
        """Share of background among all pixels; 0 without any."""
        return self._background / self._pixels if self._pixels else 0.0

    @property
    def undecided(self) -> float:
        """Share of undecided pixels (255) among all; 0 without any."""
        return self._undecided / self._pixels if self._pixels else 0.0

    @property
    def lost_classes(self) -> int:
        """Labelled classes, counted per image, of which the image's mask has no pixel."""
        return sum(one.lost for one in self.tallies.values())

    @property
    def confidence(self) -> float | None:
        """Mean confidence of all pixels; None without any."""
        return mean_confidence(sum(one.levels for one in self.tallies.values()), self._pixels)

    @property
    def object_confidence(self) -> float | None:
        """Mean confidence of the pixels of classes; None without any."""
        levels = sum(one.object_levels for one in self.tallies.values())
        return mean_confidence(levels, sum(one.objects for one in self.tallies.values()))

    def as_dict(self) -> dict[str, float | int | None]:
        """Return the figures for the manifest."""
        return {
            "made": self.made,
            "kept": self.kept,
            "background": round(self.background, 6),
            "undecided": round(self.undecided, 6),
            "lost_classes": self.lost_classes,
            "confidence": self.confidence,
            "object_confidence": self.object_confidence,
        }

    def _add(self, image: str, one: MaskTally) -> None:
        self.tallies[image] = one
        self._pixels += one.pixels
        self._background += one.background
        self._undecided += one.undecided


def tally(mask: np.ndarray, levels: np.ndarray, sample: Sample) -> MaskTally:
    """Count a mask's pixels, uint8 (H, W), against its sample's labels; `levels` uint8 (H, W): its confidence."""
    counts = value_counts(mask)
    objects = (mask != BACKGROUND) & (mask != IGNORE)
    return MaskTally(
        pixels=int(mask.size),
        background=int(counts[BACKGROUND]),
        undecided=int(counts[IGNORE]),
        lost=sum(1 for label in sample.labels if counts[label + 1] == 0),
        levels=int(levels.sum(dtype=np.int64)),
        object_levels=int(levels[objects].sum(dtype=np.int64)),
    )


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
