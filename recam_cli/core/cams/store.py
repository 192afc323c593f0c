"""Seeds on disk: one `<id>.npz` of plain arrays per image, readable with `numpy.load(allow_pickle=False)`.

classes  int64   (n,)        0-based ids of the image's labelled classes
maps     float16 (n, h, w)   one map per class in [0, 1]; h = ceil(H / 4), w = ceil(W / 4) of `work`
size     int64   (2,)        (H, W) of the photograph
work     int64   (2,)        (H, W) of the photograph's working copy; only where that is not `size`
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from recam_cli.core.cams.arrays import BadArraysError, read_arrays
from recam_cli.core.data.limits import MAX_CLASSES
from recam_cli.core.data.samples import Sample
from recam_cli.core.data.sizes import Size, enlarged_strips
from recam_cli.core.errors import DataError, NotFiniteError
from recam_cli.core.runs.files import write_bytes

_LIMITS = {"classes": 1 << 16, "maps": 1 << 30, "size": 1 << 12, "work": 1 << 12}
"""Bytes that a seed's arrays may have."""
_LONGEST_SIDE = 1 << 24
STRIDE = 4
"""Pixels of the working copy per cell of a stored map, along each axis."""


@dataclass(frozen=True)
class Seed:
    """The class maps of one image.

    Attributes:
        classes: int64 (n,), 0-based class ids; n may be 0.
        maps: float32 (n, h, w) in [0, 1], at `STRIDE`.
        size: (H, W) of the photograph.
        work: (H, W) of the working copy that the maps lie on; (0, 0) stands for `size`.
    """

    classes: np.ndarray
    maps: np.ndarray
    size: Size
    work: Size = (0, 0)

    def __post_init__(self) -> None:
        if self.work == (0, 0):
            object.__setattr__(self, "work", self.size)

    @property
    def reduced(self) -> bool:
        """Whether the working copy is another one than the photograph itself."""
        return self.work != self.size

    def upsampled(self) -> np.ndarray:
        """Return the maps at the working copy's size, bilinear: float32 (n, H, W)."""
        height, width = self.work
        if len(self.classes) == 0:
            return np.zeros((0, height, width), dtype=np.float32)
        return np.stack([cv2.resize(m, (width, height), interpolation=cv2.INTER_LINEAR) for m in self.maps])

    def strips(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield the maps at the photograph's size: rows, and float32 (n, rows, W), bilinear; at once if not reduced.

        So memory does not grow with a photograph that is larger than its working copy.
        """
        if self.reduced:
            yield from enlarged_strips(self.maps, self.size)
        else:
            yield slice(0, self.size[0]), self.upsampled()

    def label(self, threshold: float) -> np.ndarray:
        """Return the mask of the seed: argmax over [constant threshold, maps], ties to background.

        Returns:
            uint8 (H, W) at the photograph's size: 0 background, class id + 1 elsewhere.
        """
        mask = np.empty(self.size, dtype=np.uint8)
        for rows, maps in self.strips():
            mask[rows] = label_of(maps, self.classes, threshold)
        return mask

    def require_labels(self, image: str, labels: Collection[int]) -> None:
        """Check that the seed maps no class which image `image` does not carry.

        Raises:
            DataError: it does.
        """
        foreign = sorted(set(self.classes.tolist()) - set(labels))
        if foreign:
            raise DataError(
                f"{image}: its seed maps class id {foreign[0]}, which the image's labels lack",
                remedy="Make the seeds anew with these labels: recam make-seeds",
            )

    def require_size(self, height: int, width: int) -> None:
        """Check that the seed was made of a working copy of `height`×`width` pixels.

        Raises:
            DataError: it was not.
        """
        _require_equal((height, width), self.work)

    def require_photo(self, size: Size) -> None:
        """Check that the seed was made of a photograph of `size` (height, width).

        Raises:
            DataError: it was not.
        """
        _require_equal(size, self.size)


def _require_equal(found: Size, noted: Size) -> None:
    if tuple(found) != tuple(noted):
        raise DataError(
            f"image of {found[1]}×{found[0]} pixels, but the seed was made of one of {noted[1]}×{noted[0]}",
            remedy="Make the seeds of this data set anew: recam make-seeds (with the same --work-side)",
        )


def label_of(maps: np.ndarray, classes: np.ndarray, threshold: float) -> np.ndarray:
    """Return uint8 (H, W): the class of the largest of `maps` (n, H, W) where it exceeds `threshold`, else 0."""
    if len(classes) == 0:
        return np.zeros(maps.shape[1:], dtype=np.uint8)
    best = maps.argmax(axis=0)
    values = np.asarray(classes, dtype=np.int64)[best] + 1
    return np.where(maps.max(axis=0) > threshold, values, 0).astype(np.uint8)


def write_seed(path: Path, seed: Seed) -> None:
    """Write one seed, whole or not at all, compressed.

    Raises:
        NotFiniteError: a map is not finite; nothing is written.
    """
    if not np.isfinite(seed.maps).all():
        raise NotFiniteError(
            f"{path.stem}: a class map of this image holds NaN or infinite values",
            remedy="Check the network's weights, or compute with --precision fp32; finished images are kept",
        )
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {
        "classes": seed.classes.astype(np.int64),
        "maps": seed.maps.astype(np.float16),
        "size": np.asarray(seed.size, dtype=np.int64),
    }
    if seed.reduced:
        arrays["work"] = np.asarray(seed.work, dtype=np.int64)
    np.savez_compressed(buffer, **arrays)
    write_bytes(path, buffer.getvalue())


def read_seed(path: Path) -> Seed:
    """Read one seed.

    Raises:
        DataError: missing, damaged, or not of the layout above.
    """
    try:
        arrays = read_arrays(path, _LIMITS, optional=("work",))
    except FileNotFoundError:
        raise DataError(f"{path}: no seed of this image", remedy="Run: recam make-seeds") from None
    except BadArraysError as error:
        raise DataError(f"{path}: damaged seed: {error}", remedy="Delete it and run: recam make-seeds") from None
    classes, maps, size = arrays["classes"], arrays["maps"], arrays["size"]
    work = arrays.get("work", size)
    fits = (
        classes.dtype == np.int64
        and maps.dtype == np.float16
        and classes.ndim == 1
        and maps.ndim == 3
        and len(maps) == len(classes)
        and size.dtype == work.dtype == np.int64
        and size.shape == work.shape == (2,)
        and len(np.unique(classes)) == len(classes)
        and bool((size >= 1).all() and (size <= _LONGEST_SIDE).all())
        and bool((classes >= 0).all() and (classes < MAX_CLASSES).all())
        and bool((work >= 1).all() and (work <= size).all())
        and maps.shape[1:] == (-(-int(work[0]) // STRIDE), -(-int(work[1]) // STRIDE))
        and bool(np.isfinite(maps).all())
    )
    if not fits:
        raise DataError(f"{path}: not a seed of recam's layout", remedy="Delete it and run: recam make-seeds")
    return Seed(classes, maps.astype(np.float32), (int(size[0]), int(size[1])), (int(work[0]), int(work[1])))


def read_seed_of(sample: Sample, folder: Path) -> Seed:
    """Read the seed of a sample from `folder`.

    Raises:
        DataError: as `read_seed`, or it maps a class that the sample does not carry.
    """
    seed = read_seed(folder / f"{sample.id}.npz")
    seed.require_labels(sample.id, sample.labels)
    return seed
