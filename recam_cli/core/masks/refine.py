"""From a seed and its photograph to a pseudo mask: dense CRF over the background and the present classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from recam_cli.core.cams.store import Seed
from recam_cli.core.data.limits import MAX_CLASSES
from recam_cli.core.data.samples import BACKGROUND
from recam_cli.core.errors import DataError
from recam_cli.core.masks.crf import IRN, BackendName, CrfParameters, DenseCrf
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


@dataclass(frozen=True)
class Refinement:
    """How the dense CRF refines a seed; the defaults are the published recipe of IRN.

    Attributes:
        parameters: pairwise kernels and iterations.
        unary: "hard" from the seed's label map, "soft" from its scores.
        certainty: of hard labels.
        scaling: how soft scores become probabilities, see `unary.probabilities`.
        temperature: of the softmax scaling.
        backend: the CRF implementation.
        device: what the native one runs on, "cpu" or a CUDA GPU; masks do not depend on it.
    """

    parameters: CrfParameters = IRN
    unary: UnaryKind = "hard"
    certainty: float = CERTAINTY
    scaling: Scaling = "softmax"
    temperature: float = TEMPERATURE
    backend: BackendName = "auto"
    device: str = "cpu"


PUBLISHED = Refinement()


class SeedRefiner:
    """Refines one seed at any number of thresholds; the costly pairwise terms are prepared once.

    Attributes:
        values: uint8 (n + 1,), the mask value of each label: 0, then class id + 1 per map.
        maps: float32 (n, H, W), the seed's, at the size of its working copy.
    """

    def __init__(self, image: np.ndarray, seed: Seed, how: Refinement = PUBLISHED) -> None:
        """Prepare the CRF of `image` uint8 (H, W, 3) RGB for the seed's classes and the background.

        Raises:
            DataError: image and seed differ in size, or a class id has no mask value.
            UsageError: the CRF's backend is not installed.
        """
        seed.require_size(image.shape[0], image.shape[1])
        self.values = _mask_values(seed.classes)
        self.maps = seed.upsampled()
        self._how = how
        self._crf = DenseCrf(image, len(self.values), how.parameters, backend=how.backend, device=how.device)

    def probabilities(self, threshold: float) -> np.ndarray:
        """Return the refined distribution, float32 (n + 1, H, W), over background and `seed.classes`.

        Args:
            threshold: the constant score of the background, in [0, 1].
        """
        return self._crf.infer(self._energies(seed_scores(self.maps, threshold)))

    def mask(self, threshold: float) -> np.ndarray:
        """Return the most probable label of each pixel as mask values, uint8 (H, W); `threshold` as above."""
        return self.masks((threshold,))[0]

    def masks(self, thresholds: Sequence[float]) -> list[np.ndarray]:
        """Return the masks at several thresholds, which costs less than one after the other; each as of `mask`."""
        return self.masks_of([seed_scores(self.maps, threshold) for threshold in thresholds])

    def masks_of(self, scores: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the masks of given scores, each float32 (n + 1, H, W) in [0, 1] with the background first."""
        refined = self._crf.infer_all([self._energies(one) for one in scores])
        return [np.asarray(self.values[one.argmax(axis=0)]) for one in refined]

    def _energies(self, scores: np.ndarray) -> np.ndarray:
        how = self._how
        if how.unary == "hard":
            return hard_unary(scores.argmax(axis=0), len(scores), certainty=how.certainty)
        return soft_unary(probabilities(scores, how.scaling, temperature=how.temperature))


def refine_seed(image: np.ndarray, seed: Seed, threshold: float, how: Refinement = PUBLISHED) -> np.ndarray:
    """Refine one seed at one threshold (recipe of IRN §3.1 by default).

    Args:
        image: uint8 (H, W, 3) RGB, the working copy the seed was made of.
        seed: the class maps of its labelled classes; with none the mask is all background.
        threshold: the constant score of the background, in [0, 1].
        how: the dense CRF and what it starts from.

    Returns:
        uint8 (H, W): 0 background, class id + 1 elsewhere.

    Raises:
        DataError: image and seed differ in size, or a class id has no mask value.
        UsageError: the CRF's backend is not installed, or an argument lies outside its range.
    """
    return SeedRefiner(image, seed, how).mask(threshold)


def _mask_values(classes: np.ndarray) -> np.ndarray:
    if len(classes) and (classes.min() < 0 or classes.max() >= MAX_CLASSES):
        raise DataError(
            f"seed of class id {classes.max()}, but masks hold class ids 0..{MAX_CLASSES - 1}",
            remedy="Make the seeds anew: recam make-seeds",
        )
    return np.array([BACKGROUND, *(int(k) + 1 for k in classes)], dtype=np.uint8)
