"""The dense CRF's mean field in our own code: the update of Krähenbühl & Koltun (NIPS 2011, alg. 1) on two lattices.

Kernels are linear and a pixel's beliefs sum to 1, so the message of one label per problem follows from the others and
is never filtered; and problems that share an image are filtered together, four labels at a time. Two problems of three
labels each cost as much as one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from recam_cli.core.masks.lattice import LANES, Lattice, softmax_of, usable_threads


def position_features(height: int, width: int, sxy: float) -> np.ndarray:
    """Return float32 (H·W, 2): x and y of each pixel in units of `sxy`."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return np.stack([x.ravel(), y.ravel()], axis=1) / np.float32(sxy)


def appearance_features(image: np.ndarray, sxy: float, srgb: float) -> np.ndarray:
    """Return float32 (H·W, 5): position in units of `sxy` and colour in units of `srgb`, of `image` uint8 (H, W, 3)."""
    colours = image.reshape(-1, 3).astype(np.float32) / np.float32(srgb)
    return np.concatenate([position_features(image.shape[0], image.shape[1], sxy), colours], axis=1)


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
    kernels = []
    if gaussian[1] > 0:
        positions = position_features(image.shape[0], image.shape[1], gaussian[0])
        kernels.append((Lattice.around(positions, threads=threads).normalised(), gaussian[1]))
    if bilateral[2] > 0:
        appearance = appearance_features(image, *bilateral[:2])
        kernels.append((Lattice.around(appearance, threads=threads).normalised(), bilateral[2]))
    of_all = np.zeros((image.shape[0] * image.shape[1], LANES), np.float32)
    everything = np.ones_like(of_all)
    for lattice, weight in kernels:
        lattice.filter_into(everything, of_all, weight)
    of_all = np.ascontiguousarray(of_all[:, 0])

    def infer(unaries: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Run the mean field of all problems at once: problem i's labels but the last lie in lanes from first[i] on."""
        energies = [np.ascontiguousarray(unary.reshape(len(unary), -1).T) for unary in unaries]
        first = np.cumsum([0, *(len(unary) - 1 for unary in unaries)])
        blocks = max(1, -(-int(first[-1]) // LANES))
        beliefs = np.zeros((blocks, len(of_all), LANES), np.float32)
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


def _planes(beliefs: np.ndarray, first: int, shape: tuple[int, ...]) -> np.ndarray:
    """Return one problem's probabilities (labels, H, W) from the lanes `first`… of (blocks, N, LANES)."""
    planes = np.empty((shape[0], beliefs.shape[1]), np.float32)
    for label in range(shape[0] - 1):
        lane = first + label
        planes[label] = beliefs[lane // LANES, :, lane % LANES]
    planes[-1] = np.maximum(0, 1 - planes[:-1].sum(axis=0))
    return planes.reshape(shape)
