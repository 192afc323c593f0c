"""Settings of the parts of IRN: confident labels, the boundary network, the random walk, instance maps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from recam_cli.core.settings.declare import setting
from recam_cli.core.settings.groups import HARDWARE

LABELS = "Confident labels"
NETWORK = "Boundary network"
WALK = "Random walk"
INSTANCES = "Instance maps"
WALK_BETA = {"irn": 10.0, "psa": 8.0}
"""The refiners that walk, and the published exponents of their affinities."""


@dataclass(frozen=True, kw_only=True)
class ConfidentSettings:
    """What the boundary network learns from."""

    confident_fg: float | None = setting(
        None,
        "Object above this score for sure; without it the seeds' threshold + 0.12.",
        panel=LABELS,
        minimum=0,
        maximum=1,
    )
    confident_bg: float | None = setting(
        None,
        "Background below it for sure; without it the seeds' threshold - 0.10.",
        panel=LABELS,
        minimum=0,
        maximum=1,
    )


@dataclass(frozen=True, kw_only=True)
class BoundarySettings:
    """The boundary network and its training."""

    irn_weights: Path | None = setting(
        None,
        "A trained boundary network (irn.safetensors of a run); skips training, and labels unless they walk.",
        panel=NETWORK,
    )
    irn_init: str = setting(
        "weights",
        "Its frozen backbone: weights (what the run's classifier started from), classifier (that classifier's own), "
        "imagenet, or a file.",
        panel=NETWORK,
    )
    irn_epochs: int = setting(3, "Passes over the images.", panel=NETWORK, minimum=1, maximum=10_000)
    irn_batch_size: int = setting(32, "Images per batch.", panel=NETWORK, minimum=1, maximum=4096)
    irn_lr: float = setting(0.1, "Learning rate.", panel=NETWORK, minimum=0)
    irn_weight_decay: float = setting(1e-4, "Weight decay.", panel=NETWORK, minimum=0)
    irn_momentum: float = setting(
        0.0, "SGD momentum; 0 as published, where it was practically off.", panel=NETWORK, minimum=0, maximum=0.999
    )
    irn_crop: int = setting(512, "Side of the training crop, in pixels.", panel=NETWORK, minimum=32, maximum=4096)
    irn_scale: tuple[float, ...] = setting(
        (0.5, 1.5),
        "Range of the random factor of the image's size: smallest,largest.",
        panel=NETWORK,
        above=0,
        maximum=8,
    )
    irn_side: tuple[int, ...] = setting(
        (0, 0),
        "Range of the random longer side of the image in pixels: smallest,largest; 0,0: by --irn-scale, as published.",
        panel=NETWORK,
        minimum=0,
        maximum=8192,
        instead_of="irn_scale",
    )
    irn_radius: int = setting(
        10, "Pairs nearer than so many cells of 4 pixels teach it.", panel=NETWORK, minimum=2, maximum=32
    )


@dataclass(frozen=True, kw_only=True)
class WalkSettings:
    """How seeds are spread within boundaries."""

    walk_floor: str = setting(
        "auto",
        "Score taken off the seeds before the walk, 0 to 1; auto follows from their threshold, 0 is as published.",
        panel=WALK,
    )
    walk_sources: Literal["seeds", "labels"] = setting(
        "seeds",
        "What walks: the seeds (as published), or confident labels, the background's among them, and seeds where "
        "these are undecided.",
        panel=WALK,
    )
    walk_scale: float = setting(
        1.0,
        "Boundaries are found, and the walk goes, on the image at this factor of its size.",
        panel=WALK,
        above=0,
        maximum=8,
    )
    walk_side: int = setting(
        0,
        "The same as a longer side in pixels, whatever the image's size; 0: by --walk-scale, as published.",
        panel=WALK,
        minimum=0,
        maximum=8192,
        instead_of="walk_scale",
    )
    walk_radius: int = setting(5, "Cells nearer than that pass scores on.", panel=WALK, minimum=2, maximum=32)
    walk_beta: float | None = setting(
        None, "Exponent of the affinities; without it 10 for irn, 8 for psa.", panel=WALK, above=0
    )
    walk_steps: int = setting(256, "Steps of the walk.", panel=WALK, minimum=0, maximum=65_536)
    walk_batch_size: int = setting(
        8, "Images of equal size that walk together.", panel=HARDWARE, minimum=1, maximum=1024
    )

    def beta_of(self, kind: str) -> float:
        """Return the exponent given, or the published one of `kind`, "irn" or "psa"."""
        return WALK_BETA[kind] if self.walk_beta is None else self.walk_beta


@dataclass(frozen=True, kw_only=True)
class WalkCutSettings:
    """Where walked seeds are cut."""

    walk_threshold: str = setting(
        "auto",
        "The background's score after the walk, 0 to 1; auto chooses it without ground truth; psa published: 0.5.",
        panel=WALK,
    )


def walk_kind(refine: str) -> str | None:
    """Return which walk a refiner takes, "irn" or "psa", or None: `irn+crf` → `irn`."""
    kind = refine.split("+")[0]
    return kind if kind in WALK_BETA else None


@dataclass(frozen=True, kw_only=True)
class DisplacementSettings:
    """Whether the boundary network's other branch is trained, and how."""

    instances: bool = setting(
        False,
        "Also tell objects of one class apart: a displacement branch is trained, and instances/ written; needs "
        "--refine irn or irn+crf.",
        panel=INSTANCES,
    )
    displacement_lr: float = setting(1.0, "Learning rate of the displacement branch.", panel=INSTANCES, minimum=0)


@dataclass(frozen=True, kw_only=True)
class GroupingSettings:
    """How a displacement field becomes instances."""

    displacement_steps: int = setting(
        100, "Steps that each cell follows the displacement field.", panel=INSTANCES, minimum=0, maximum=10_000
    )
    centroid_radius: float = setting(
        2.5,
        "Cells of a shorter displacement, in cells of 4 pixels of the image as it walked, are an object's centre.",
        panel=INSTANCES,
        above=0,
    )
    instance_fragment: float = setting(
        0.01,
        "Pieces of an instance below this share of the image are none of their own.",
        panel=INSTANCES,
        minimum=0,
        maximum=1,
    )
