"""The one shape every data set takes: an `ImageSet` of `Sample`s with string ids and image-level labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recam_cli.core.errors import DataError
from recam_cli.core.runs.files import fingerprint, sha256_of_all

IGNORE = 255
"""Mask value that neither trains nor counts (VOC's "void")."""
BACKGROUND = 0
"""Mask value of the background; class k (0-based, as in `ImageSet.classes`) has mask value k + 1."""


@dataclass(frozen=True)
class Sample:
    """One photograph.

    Attributes:
        id: unique name within the data set, also the name of its seed, mask and prediction files.
        image: path of the photograph.
        labels: 0-based class ids present in the image, ascending, without background.
        mask: path of the true mask, or None where there is none. Only evaluation and
            `train-seg --labels truth` look at it.
    """

    id: str
    image: Path
    labels: tuple[int, ...]
    mask: Path | None = None


@dataclass(frozen=True)
class ImageSet:
    """One split of a data set.

    Attributes:
        name: the data set's registry name, e.g. "voc".
        root: the folder it was read from.
        split: e.g. "train".
        classes: class names without background; mask value k + 1 belongs to `classes[k]`.
        samples: in the order of the split's list.
    """

    name: str
    root: Path
    split: str
    classes: tuple[str, ...]
    samples: tuple[Sample, ...]

    def __len__(self) -> int:
        return len(self.samples)

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.samples)

    def targets(self) -> np.ndarray:
        """Return the multi-hot labels: float32, (number of samples, number of classes)."""
        hot = np.zeros((len(self.samples), len(self.classes)), dtype=np.float32)
        for row, sample in enumerate(self.samples):
            hot[row, list(sample.labels)] = 1.0
        return hot

    def fingerprint(self) -> str:
        """Return a hash of what the set consists of: classes, ids, labels and the images' content."""
        images = sha256_of_all(sample.image for sample in self.samples)
        rows = [[s.id, list(s.labels), digest] for s, digest in zip(self.samples, images, strict=True)]
        return fingerprint([list(self.classes), self.split, rows])

    def mask_fingerprint(self) -> str:
        """Return a hash of the masks' content."""
        return fingerprint(sha256_of_all(sample.mask for sample in self.samples if sample.mask is not None))

    def mask_names(self) -> tuple[str, ...]:
        """Return the names of mask values 0..K: "background" and the classes."""
        return ("background", *self.classes)

    def with_masks(self) -> ImageSet:
        """Return the set after checking that every sample has a true mask.

        Raises:
            DataError: a sample has none.
        """
        for sample in self.samples:
            if sample.mask is None:
                raise DataError(
                    f"{self.root}: image {sample.id} of split {self.split} has no true mask",
                    remedy="Put masks into SegmentationClass/ or choose a split that has them",
                )
        return self
