"""What a `shapes` data set is made from."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from recam_cli.core.errors import UsageError

GENERATOR_VERSION = 3
"""Counts up whenever the same spec gives other pictures."""
SMALLEST_SIDE = 64
_LARGEST_SIDE = 1024
_MOST_IMAGES = 100_000


@dataclass(frozen=True)
class ShapesSpec:
    """Everything that decides the files of a `shapes` data set.

    Attributes:
        seed: of all random choices.
        train: number of training images.
        val: number of held-out images.
        size: (height, width) of every image in pixels.
    """

    seed: int = 0
    train: int = 112
    val: int = 36
    size: tuple[int, int] = (216, 288)

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn.

        Raises:
            UsageError: a negative seed, an empty or endless split, or a side outside 64..1024 pixels.
        """
        if self.seed < 0:
            raise UsageError(f"shapes: seed {self.seed} is negative", remedy="Give a seed of 0 or more")
        if not (1 <= self.train <= _MOST_IMAGES and 1 <= self.val <= _MOST_IMAGES):
            raise UsageError(
                f"shapes: {self.train} training and {self.val} held-out images",
                remedy=f"Ask for 1 to {_MOST_IMAGES} of each",
            )
        if not all(SMALLEST_SIDE <= side <= _LARGEST_SIDE for side in self.size):
            raise UsageError(
                f"shapes: images of {self.size[0]}×{self.size[1]} pixels",
                remedy=f"Choose sides of {SMALLEST_SIDE} to {_LARGEST_SIDE} pixels",
            )

    def as_dict(self) -> dict[str, Any]:
        """Return the spec and the generator's version, JSON-ready."""
        values = asdict(self)
        return {"generator": GENERATOR_VERSION, **values, "size": list(self.size)}

    def count(self, split: str) -> int:
        """Return the number of images of `split`, "train" or "val"."""
        return self.train if split == "train" else self.val
