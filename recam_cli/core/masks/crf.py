"""Fully connected CRF over one photograph (Krähenbühl & Koltun, NIPS 2011), behind a registry of backends.

Energy of a labelling: the sum of the unary energies, plus, for each pair of pixels of different labels,

    gaussian_compat · exp(-|p-q|² / 2·gaussian_sxy²)                                    (smoothness)
  + bilateral_compat · exp(-|p-q|² / 2·bilateral_sxy² - |I_p-I_q|² / 2·bilateral_srgb²)  (appearance)

with positions p, q in pixels and colours I in 0..255; both kernels are normalised symmetrically by their row
sums. Mean-field inference gives each pixel's marginal distribution over the labels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import partial
from importlib.util import find_spec
from typing import Any, Literal, Protocol

import numpy as np

from recam_cli.core.errors import DataError, NotFiniteError, UsageError

BackendName = Literal["auto", "native", "pydensecrf"]
AnyBackend = BackendName | Literal["torch"]
"""Native is compiled for the CPU, and made of torch's operations on a CUDA GPU, with the same result to 1e-4; "torch"
are these on any device, for tests. Apple's MPS knows no double precision: there, native stays on the CPU."""


@dataclass(frozen=True)
class CrfParameters:
    """The two pairwise kernels and the number of mean-field steps.

    Attributes:
        gaussian_sxy: standard deviation of the smoothness kernel, in pixels.
        gaussian_compat: its weight.
        bilateral_sxy: standard deviation of the appearance kernel in space, in pixels.
        bilateral_srgb: its standard deviation in colour, in units of 0..255.
        bilateral_compat: its weight.
        iterations: mean-field steps; 0 gives the softmax of the negative unary energies.

    Raises:
        UsageError: a deviation that is not positive, a negative weight or number of steps, a value not
            finite.
    """

    gaussian_sxy: float
    gaussian_compat: float
    bilateral_sxy: float
    bilateral_srgb: float
    bilateral_compat: float
    iterations: int

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            is_deviation = field.name.endswith(("_sxy", "_srgb"))
            if not math.isfinite(value) or value < 0 or (is_deviation and value == 0):
                wanted = "greater than 0" if is_deviation else "0 or more"
                raise UsageError(f"dense CRF: {field.name} is {value}, but must be {wanted}")


IRN = CrfParameters(3, 3, 50, 5, 10, iterations=10)
"""IRN (Ahn et al., CVPR 2019), AdvCAM and ReCAM: on hard labels of certainty 0.7."""
PSA = CrfParameters(3, 3, 80, 13, 10, iterations=10)
"""PSA (Ahn & Kwak, CVPR 2018) and SEAM (Wang et al., CVPR 2020): on soft CAM scores."""
DEEPLAB = CrfParameters(1, 3, 67, 3, 4, iterations=10)
"""DeepLab v2 (Chen et al., TPAMI 2018) as post-processing of a segmenter's softmax at full size."""

Inference = Callable[[Sequence[np.ndarray]], list[np.ndarray]]
"""Unary energies of one or more problems, each float32 (labels, H, W), C-contiguous → their probabilities."""


class Backend(Protocol):
    """Prepares the pairwise terms of one image and returns the function that infers, any number of times."""

    def __call__(self, image: np.ndarray, labels: int, parameters: CrfParameters) -> Inference:
        """Prepare for `image` uint8 (H, W, 3), C-contiguous, and `labels` ≥ 2.

        Raises:
            UsageError: the library behind it is not installed.
        """
        ...


def _native(image: np.ndarray, labels: int, parameters: CrfParameters) -> Inference:
    try:
        from recam_cli.core.masks.native_crf import native_inference
    except ImportError as error:
        raise UsageError(
            f"the dense CRF needs the package numba, which cannot be imported ({error})",
            remedy="Install it with: pip install numba, or use --crf pydensecrf or --refine none",
        ) from error
    return native_inference(
        image,
        gaussian=(parameters.gaussian_sxy, parameters.gaussian_compat),
        bilateral=(parameters.bilateral_sxy, parameters.bilateral_srgb, parameters.bilateral_compat),
        iterations=parameters.iterations,
    )


def _torch(image: np.ndarray, labels: int, parameters: CrfParameters, device: str = "cpu") -> Inference:
    import torch

    from recam_cli.core.masks.torch_crf import torch_inference

    return torch_inference(
        image,
        gaussian=(parameters.gaussian_sxy, parameters.gaussian_compat),
        bilateral=(parameters.bilateral_sxy, parameters.bilateral_srgb, parameters.bilateral_compat),
        iterations=parameters.iterations,
        device=torch.device(device),
    )


def _pydensecrf(image: np.ndarray, labels: int, parameters: CrfParameters) -> Inference:
    library = _import_pydensecrf()
    height, width = image.shape[:2]
    crf = library.DenseCRF2D(width, height, labels)
    crf.addPairwiseGaussian(sxy=parameters.gaussian_sxy, compat=parameters.gaussian_compat)
    crf.addPairwiseBilateral(
        sxy=parameters.bilateral_sxy,
        srgb=parameters.bilateral_srgb,
        rgbim=image,
        compat=parameters.bilateral_compat,
    )

    def infer_one(unary: np.ndarray) -> np.ndarray:
        crf.setUnaryEnergy(unary.reshape(labels, height * width))
        # A copy: the library's matrix owns its memory and goes with it.
        marginals = np.array(crf.inference(parameters.iterations), dtype=np.float32)
        return marginals.reshape(labels, height, width)

    return lambda unaries: [infer_one(unary) for unary in unaries]


def _import_pydensecrf() -> Any:
    try:
        import pydensecrf.densecrf as library
    except (ImportError, ValueError) as error:  # ValueError: built against another numpy
        raise UsageError(
            f"the dense CRF needs the package pydensecrf, which cannot be imported ({error})",
            remedy="Install it with: pip install pydensecrf2, or use --crf native or --refine none",
        ) from error
    return library


BACKENDS: dict[str, Backend] = {"native": _native, "torch": _torch, "pydensecrf": _pydensecrf}
"""Dense CRF implementations by name; a new one is a function and a line here."""


def resolve_backend(name: BackendName = "auto") -> BackendName:
    """Return the backend that `name` stands for: "auto" is native, or pydensecrf where only that is installed."""
    if name != "auto":
        return name
    return "native" if find_spec("numba") is not None or find_spec("pydensecrf") is None else "pydensecrf"


class DenseCrf:
    """The dense CRF of one image: the pairwise terms are prepared once, the unary is given with each
    inference.

    Attributes:
        shape: (labels, H, W), of the unary energies and of the probabilities.
    """

    def __init__(
        self,
        image: np.ndarray,
        labels: int,
        parameters: CrfParameters = IRN,
        *,
        backend: AnyBackend = "auto",
        device: str = "cpu",
    ) -> None:
        """Prepare the CRF of `image` uint8 (H, W, 3) RGB for `labels` ≥ 1.

        With one label there is nothing to decide, and the backend is not asked. `device` names what the native backend
        runs on: a GPU where it is "cuda" or "cuda:<i>", else the CPU.

        Raises:
            UsageError: the backend is unknown or not installed, or the arguments have the wrong shape or
                type.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
            raise UsageError(f"dense CRF: image of shape {image.shape}, {image.dtype}, not uint8 (H, W, 3)")
        if labels < 1:
            raise UsageError(f"dense CRF: {labels} labels, but at least one is needed")
        self.shape = (labels, image.shape[0], image.shape[1])
        self._infer: Inference = _only_label
        if labels > 1:
            self._infer = _backend(backend, device)(np.ascontiguousarray(image), labels, parameters)

    def infer(self, unary_energy: np.ndarray) -> np.ndarray:
        """Return each pixel's distribution over the labels.

        Args:
            unary_energy: (labels, H, W), any float type; negative log probabilities up to a constant per
                pixel.

        Returns:
            float32 (labels, H, W), summing to 1 over the labels.

        Raises:
            UsageError: it has another shape.
            DataError: it holds a value that is not finite.
            NotFiniteError: a probability is not finite.
        """
        return self.infer_all([unary_energy])[0]

    def infer_all(self, unary_energies: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the distributions of several unaries on the same image; the native backend shares the work.

        Arguments, results and errors of each as of `infer`.
        """
        for unary in unary_energies:
            if unary.shape != self.shape:
                raise UsageError(f"dense CRF: unary of shape {unary.shape}, but the CRF has {self.shape}")
            if not np.isfinite(unary).all():
                raise DataError("dense CRF: unary energies that are not finite", remedy="Make the seeds anew")
        found = self._infer([np.ascontiguousarray(unary, dtype=np.float32) for unary in unary_energies])
        if not all(np.isfinite(one.sum(dtype=np.float64)) for one in found):  # shares: their sum cannot overflow
            raise NotFiniteError(
                "dense CRF: probabilities that are not finite", remedy="Lower its weights, or raise its deviations"
            )
        return found


def check_backend(backend: BackendName = "auto", device: str = "cpu") -> None:
    """Find out, before many images are begun, whether the backend works, on one pixel.

    Raises:
        UsageError: it is unknown or not installed.
    """
    DenseCrf(np.zeros((1, 1, 3), dtype=np.uint8), 2, backend=backend, device=device)


def _backend(name: AnyBackend, device: str) -> Backend:
    if name != "torch":
        name = resolve_backend(name)
    if name == "torch" or (name == "native" and device.startswith("cuda")):
        return partial(_torch, device=device)
    try:
        return BACKENDS[name]
    except KeyError:
        raise UsageError(f"unknown dense CRF backend {name}", remedy=f"Known are auto, {', '.join(BACKENDS)}") from None


def _only_label(unaries: Sequence[np.ndarray]) -> list[np.ndarray]:
    return [np.ones_like(unary) for unary in unaries]
