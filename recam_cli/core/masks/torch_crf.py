"""The mean field of `native_crf.py` by tensor operations, for a GPU; on a CPU the compiled loops are several times as
fast.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from recam_cli.core.errors import ResourceError
from recam_cli.core.masks.features import weighted_features
from recam_cli.core.masks.torch_lattice import TorchLattice


@contextmanager
def _memory_of(device: torch.device) -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise ResourceError(
            f"not enough memory on {device} for the dense CRF", remedy="Use --device cpu, or smaller images"
        ) from error


@torch.inference_mode()
def torch_inference(
    image: np.ndarray,
    *,
    gaussian: tuple[float, float],
    bilateral: tuple[float, float, float],
    iterations: int,
    device: torch.device,
) -> Callable[[Sequence[np.ndarray]], list[np.ndarray]]:
    """Prepare the kernels of one image on `device` and return the function that infers, any number of times.

    Arguments and result as of `native_crf.native_inference`, whose probabilities it gives to 1e-4.

    Raises:
        ResourceError: the device has not enough memory; also when the function is called.
    """
    with _memory_of(device):
        kernels = [
            (_lattice(features, device), weight) for features, weight in weighted_features(image, gaussian, bilateral)
        ]
        of_all = _messages(kernels, torch.ones(image.shape[0] * image.shape[1], 1, device=device))

    @torch.inference_mode()
    def infer(unaries: Sequence[np.ndarray]) -> list[np.ndarray]:
        with _memory_of(device):
            energies = [torch.from_numpy(unary.reshape(len(unary), -1)).to(device).T.contiguous() for unary in unaries]
            found = _mean_field(kernels, of_all, energies, iterations)
            return [part.T.reshape(unary.shape).cpu().numpy() for part, unary in zip(found, unaries, strict=True)]

    return infer


def _mean_field(kernels: _Kernels, of_all: Tensor, energies: Sequence[Tensor], iterations: int) -> list[Tensor]:
    """Return the probabilities (N, labels) of several problems at once, from energies of that shape.

    A problem's last label is not filtered: its message is what the others leave of `of_all`, (N, 1).
    """
    sizes = [energy.shape[1] - 1 for energy in energies]
    beliefs = torch.cat([_all_but_last(-energy) for energy in energies], dim=1)
    for _ in range(iterations):
        messages = _messages(kernels, beliefs)
        beliefs = torch.cat(
            [
                _all_but_last(_completed(part, of_all) - energy)
                for part, energy in zip(torch.split(messages, sizes, dim=1), energies, strict=True)
            ],
            dim=1,
        )
    whole = torch.ones_like(of_all)
    return [_completed(part, whole).clamp_(min=0) for part in torch.split(beliefs, sizes, dim=1)]


_Kernels = Sequence[tuple[TorchLattice, float]]


def _lattice(features: np.ndarray, device: torch.device) -> TorchLattice:
    return TorchLattice.around(torch.from_numpy(features).to(device)).normalised()


def _messages(kernels: _Kernels, values: Tensor) -> Tensor:
    """Return the sum of the filtered `values`, (N, L), by weight."""
    total = torch.zeros_like(values)
    for lattice, weight in kernels:
        total.add_(lattice.filter(values), alpha=weight)
    return total


def _all_but_last(logits: Tensor) -> Tensor:
    """Return the softmax of (N, labels) without the last label."""
    return logits.softmax(dim=1)[:, :-1]


def _completed(known: Tensor, whole: Tensor) -> Tensor:
    """Return (N, labels) with the last label's column, which is what the others leave of `whole`, (N, 1)."""
    return torch.cat([known, whole - known.sum(dim=1, keepdim=True)], dim=1)
