"""Confident labels by two background scores, the teacher of the affinity network (PSA, CVPR 2018, §3.3).

The background scores (1 - largest map)^α. A low α (4) keeps that high until a map is high: whatever is still object
there is one for sure. A high α (32) lets it fall at once: whatever is still background there is so for sure. Both
score maps are refined by the dense CRF; where they name the same, that is the label, elsewhere it is undecided (255).
(Where they name two different objects, the published code takes the first's; where only the second says background,
background.)
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from recam_cli.core.cams.floor import without_floor
from recam_cli.core.cams.store import Seed
from recam_cli.core.data.samples import IGNORE
from recam_cli.core.errors import UsageError
from recam_cli.core.masks.crf import PSA, BackendName
from recam_cli.core.masks.refine import Refinement, SeedRefiner
from recam_cli.core.masks.unary import fading_scores


@dataclass(frozen=True)
class AgreeingAlphas:
    """The rule: a pixel's label is what both refined score maps name.

    Attributes:
        low: α of sure objects; published: 4.
        high: α of sure background; published: 32.
        floor: taken off the maps before; 0 as published, for maps whose background is near 0.
        backend, device: the dense CRF's; its parameters are the published ones, on soft scores.
    """

    low: float = 4.0
    high: float = 32.0
    floor: float = 0.0
    backend: BackendName = "auto"
    device: str = "cpu"

    def __post_init__(self) -> None:
        if not 0 < self.low <= self.high:
            raise UsageError(
                f"confident labels need 0 < low α ≤ high α, not {self.low:g} and {self.high:g}",
                remedy="Change --psa-low-alpha or --psa-high-alpha",
            )

    def __call__(self, image: np.ndarray, seed: Seed) -> np.ndarray:
        """Return the confident labels of one image, uint8 (H, W): 0, class id + 1, or 255 where undecided.

        Args:
            image: uint8 (H, W, 3) RGB, the working copy the seed was made of.
            seed: the class maps; with none all is background.

        Raises:
            DataError: image and seed do not belong together.
            UsageError: the CRF's backend is not installed, or `floor` lies outside [0, 1).
        """
        how = Refinement(parameters=PSA, unary="soft", scaling="share", backend=self.backend, device=self.device)
        refiner = SeedRefiner(image, replace(seed, maps=without_floor(seed.maps, self.floor)), how)
        objects, background = refiner.masks_of([fading_scores(refiner.maps, alpha) for alpha in (self.low, self.high)])
        return np.where(objects == background, objects, IGNORE).astype(np.uint8)
