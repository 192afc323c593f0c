"""From a seed and its photograph to a pseudo mask: dense CRF over the background and the present classes."""

from __future__ import annotations

from typing import Literal

import numpy as np

from recam_cli.core.cams.store import Seed
from recam_cli.core.data.limits import MAX_CLASSES
from recam_cli.core.data.samples import BACKGROUND
from recam_cli.core.errors import DataError
from recam_cli.core.masks.crf import IRN, CrfParameters, DenseCrf
from recam_cli.core.masks.unary import (
    CERTAINTY,
    TEMPERATURE,
    Scaling,
    hard_unary,
    probabilities,
    seed_scores,
    soft_unary,
)

UnaryKind = Literal["hard", "soft"]


class SeedRefiner:
    """Refines one seed at any number of thresholds; the costly pairwise terms are prepared once.

    Attributes:
        values: uint8 (n + 1,), the mask value of each label: 0, then class id + 1 per map.
    """

    def __init__(
        self,
        image: np.ndarray,
        seed: Seed,
        *,
        parameters: CrfParameters = IRN,
        backend: str = "pydensecrf",
    ) -> None:
        """Prepare the CRF of `image` uint8 (H, W, 3) RGB for the seed's classes and the background.

        Raises:
            DataError: image and seed differ in size, or a class id has no mask value.
            UsageError: the CRF's backend is not installed.
        """
        if image.shape[:2] != tuple(seed.size):
            raise DataError(
                f"image of {image.shape[1]}×{image.shape[0]} pixels, but the seed was made of one of "
                f"{seed.size[1]}×{seed.size[0]}",
                remedy="Make the seeds of this data set anew: recam make-seeds",
            )
        self.values = _mask_values(seed.classes)
        self._maps = seed.upsampled()
        self._crf = DenseCrf(image, len(self.values), parameters, backend=backend)

    def probabilities(
        self,
        threshold: float,
        *,
        unary: UnaryKind = "hard",
        certainty: float = CERTAINTY,
        scaling: Scaling = "softmax",
        temperature: float = TEMPERATURE,
    ) -> np.ndarray:
        """Return the refined distribution, float32 (n + 1, H, W), over background and `seed.classes`.

        Args:
            threshold: the constant score of the background, in [0, 1].
            unary: "hard" from the seed's label map, "soft" from its scores.
            certainty: of hard labels.
            scaling: how soft scores become probabilities, see `unary.probabilities`.
            temperature: of the softmax scaling.
        """
        scores = seed_scores(self._maps, threshold)
        if unary == "hard":
            energies = hard_unary(scores.argmax(axis=0), len(scores), certainty=certainty)
        else:
            energies = soft_unary(probabilities(scores, scaling, temperature=temperature))
        return self._crf.infer(energies)

    def mask(
        self,
        threshold: float,
        *,
        unary: UnaryKind = "hard",
        certainty: float = CERTAINTY,
        scaling: Scaling = "softmax",
        temperature: float = TEMPERATURE,
    ) -> np.ndarray:
        """Return the most probable label of each pixel as mask values, uint8 (H, W); arguments as above."""
        refined = self.probabilities(
            threshold, unary=unary, certainty=certainty, scaling=scaling, temperature=temperature
        )
        return np.asarray(self.values[refined.argmax(axis=0)])


def refine_seed(
    image: np.ndarray,
    seed: Seed,
    threshold: float,
    *,
    parameters: CrfParameters = IRN,
    unary: UnaryKind = "hard",
    certainty: float = CERTAINTY,
    scaling: Scaling = "softmax",
    temperature: float = TEMPERATURE,
    backend: str = "pydensecrf",
) -> np.ndarray:
    """Refine one seed at one threshold (recipe of IRN §3.1 with the default arguments).

    Args:
        image: uint8 (H, W, 3) RGB, at the size the seed was made of.
        seed: the class maps of its labelled classes; with none the mask is all background.
        threshold: the constant score of the background, in [0, 1].
        parameters: pairwise kernels and iterations.
        unary: "hard" or "soft".
        certainty: of hard labels.
        scaling: how soft scores become probabilities.
        temperature: of the softmax scaling.
        backend: the CRF implementation.

    Returns:
        uint8 (H, W): 0 background, class id + 1 elsewhere.

    Raises:
        DataError: image and seed differ in size, or a class id has no mask value.
        UsageError: the CRF's backend is not installed, or an argument lies outside its range.
    """
    refiner = SeedRefiner(image, seed, parameters=parameters, backend=backend)
    return refiner.mask(threshold, unary=unary, certainty=certainty, scaling=scaling, temperature=temperature)


def _mask_values(classes: np.ndarray) -> np.ndarray:
    if len(classes) and (classes.min() < 0 or classes.max() >= MAX_CLASSES):
        raise DataError(
            f"seed of class id {classes.max()}, but masks hold class ids 0..{MAX_CLASSES - 1}",
            remedy="Make the seeds anew: recam make-seeds",
        )
    return np.array([BACKGROUND, *(int(k) + 1 for k in classes)], dtype=np.uint8)
