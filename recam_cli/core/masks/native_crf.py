"""The dense CRF's mean field in our own code: the update of Krähenbühl & Koltun (NIPS 2011, alg. 1) on two lattices.

Kernels are linear and a pixel's beliefs sum to 1, so the message of one label per problem follows from the others and
is never filtered; and problems that share an image are filtered together, up to twelve labels at a time: a pass over
eight takes about half longer than one over four.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from recam_cli.core.masks.features import weighted_features
from recam_cli.core.masks.lattice import WIDTHS, Lattice, softmax_of
from recam_cli.core.threads import usable_threads


def native_inference(
    image: np.ndarray,
    *,
    gaussian: tuple[float, float],
    bilateral: tuple[float, float, float],
    iterations: int,
    threads: int | None = None,
) -> Callable[[Sequence[np.ndarray]], list[np.ndarray]]:
    """Prepare the kernels of one image and return the function that infers, any number of times.

    Args:
        image: uint8 (H, W, 3).
        gaussian: (sxy, weight) of the smoothness kernel.
        bilateral: (sxy, srgb, weight) of the appearance kernel.
        iterations: mean-field steps.
        threads: how many to use; None takes what the process may.

    Returns:
        A function from the unary energies of several problems, each float32 (labels, H, W), to their probabilities.
    """
    threads = usable_threads() if threads is None else threads
    kernels = [
        (Lattice.around(features, threads=threads).normalised(), weight)
        for features, weight in weighted_features(image, gaussian, bilateral)
    ]
    of_all = np.zeros((image.shape[0] * image.shape[1], WIDTHS[0]), np.float32)
    everything = np.ones_like(of_all)
    for lattice, weight in kernels:
        lattice.filter_into(everything, of_all, weight)
    of_all = np.ascontiguousarray(of_all[:, 0])

    def infer(unaries: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Run the mean field of all problems at once: problem i's labels but the last lie in lanes from first[i] on."""
        energies = [unary.reshape(len(unary), -1) for unary in unaries]
        first = np.cumsum([0, *(len(unary) - 1 for unary in unaries)])
        blocks, width = _layout(int(first[-1]))
        beliefs = np.zeros((blocks, len(of_all), width), np.float32)
        messages = np.zeros_like(beliefs)
        nothing = np.zeros_like(of_all)
        for start, energy in zip(first, energies, strict=False):
            softmax_of(int(start), energy, messages, nothing, beliefs, threads)
        for _ in range(iterations):
            messages[:] = 0
            for lattice, weight in kernels:
                for block, message in zip(beliefs, messages, strict=True):
                    lattice.filter_into(block, message, weight)
            for start, energy in zip(first, energies, strict=False):
                softmax_of(int(start), energy, messages, of_all, beliefs, threads)
        return [_planes(beliefs, int(start), unary.shape) for start, unary in zip(first, unaries, strict=False)]

    return infer


def _layout(lanes: int) -> tuple[int, int]:
    """Return how many blocks, as few as can be, of how many lanes each, as narrow as can be, hold `lanes` ≥ 1."""
    blocks = -(-lanes // WIDTHS[-1])
    return blocks, next(width for width in WIDTHS if blocks * width >= lanes)


def _planes(beliefs: np.ndarray, first: int, shape: tuple[int, ...]) -> np.ndarray:
    """Return one problem's probabilities (labels, H, W) from the lanes `first`… of (blocks, N, lanes)."""
    planes = np.empty((shape[0], beliefs.shape[1]), np.float32)
    for label in range(shape[0] - 1):
        block, lane = divmod(first + label, beliefs.shape[2])
        planes[label] = beliefs[block, :, lane]
    planes[-1] = np.maximum(0, 1 - planes[:-1].sum(axis=0))
    return planes.reshape(shape)
