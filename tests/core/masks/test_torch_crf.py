"""The dense CRF in torch gives what the compiled one gives: probabilities to 1e-4, labels on 99.99 % of the pixels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from recam_cli.core.data.custom import open_custom
from recam_cli.core.data.images import read_image
from recam_cli.core.errors import RecamError
from recam_cli.core.masks import torch_crf
from recam_cli.core.masks.crf import DEEPLAB, IRN, PSA, DenseCrf
from recam_cli.core.masks.unary import hard_unary
from tests.helpers.real_data import msrc_root
from tests.helpers.tiny_data import draw_photo

PUBLISHED = {"irn": IRN, "psa": PSA, "deeplab": DEEPLAB}
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")


def noisy_labels(labels, shape, seed):
    """Hard unary energies of coarse random patches."""
    cells = np.random.default_rng(seed).integers(0, labels, (-(-shape[0] // 9), -(-shape[1] // 9)))
    return hard_unary(cells.repeat(9, 0).repeat(9, 1)[: shape[0], : shape[1]], labels)


def agreement(image, labels, parameters, **options):
    """Largest difference of probabilities, differing labels, and pixels, over a pair of problems."""
    unaries = [noisy_labels(labels, image.shape[:2], seed) for seed in (0, 1)]
    compiled = np.stack(DenseCrf(image, labels, parameters, backend="native").infer_all(unaries))
    other = np.stack(DenseCrf(image, labels, parameters, **options).infer_all(unaries))
    apart = int((compiled.argmax(axis=1) != other.argmax(axis=1)).sum())
    return float(np.abs(compiled - other).max()), apart, compiled[:, 0].size


@pytest.mark.parametrize("labels", [2, 3, 6])
@pytest.mark.parametrize("name", PUBLISHED)
def test_generated_pictures_come_out_as_compiled(name, labels):
    image, _ = draw_photo((0, 2), size=(60, 80), seed=labels)

    difference, apart, pixels = agreement(image, labels, PUBLISHED[name], backend="torch")

    assert difference < 1e-4
    assert apart <= pixels // 10_000


def test_real_photographs_come_out_as_compiled():
    apart = pixels = 0
    for sample in list(open_custom(msrc_root(), "train"))[::60][:3]:
        image = read_image(sample.image)
        difference, wrong, count = agreement(image, 3, replace(IRN, iterations=5), backend="torch")
        assert difference < 1e-4
        apart, pixels = apart + wrong, pixels + count
    assert apart <= pixels // 10_000


@pytest.mark.parametrize("without", ["gaussian_compat", "bilateral_compat"])
def test_a_kernel_of_no_weight_is_left_out(without):
    image, _ = draw_photo((1,), size=(24, 30), seed=1)

    assert agreement(image, 3, replace(IRN, **{without: 0}), backend="torch")[0] < 1e-4


def test_the_same_input_gives_the_same_bits():
    image, _ = draw_photo((1,), size=(40, 50), seed=2)
    unary = noisy_labels(3, (40, 50), 0)

    first, second = (DenseCrf(image, 3, backend="torch").infer(unary) for _ in range(2))

    assert np.array_equal(first, second)


@needs_gpu
@pytest.mark.parametrize("name", PUBLISHED)
def test_a_gpu_gives_what_the_cpu_gives_and_the_same_bits_again(name):
    image, _ = draw_photo((0, 2), size=(120, 160), seed=3)
    unary = noisy_labels(4, (120, 160), 0)

    difference, apart, pixels = agreement(image, 4, PUBLISHED[name], backend="native", device="cuda")
    again = [DenseCrf(image, 4, PUBLISHED[name], device="cuda").infer(unary) for _ in range(2)]

    assert difference < 1e-4
    assert apart <= pixels // 10_000
    assert np.array_equal(*again)


def test_a_device_without_enough_memory_is_told_in_one_line(monkeypatch):
    def full(*arguments):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(torch_crf, "_lattice", full)

    with pytest.raises(RecamError, match=r"not enough memory on cpu.*--device cpu"):
        DenseCrf(np.zeros((4, 5, 3), np.uint8), 2, backend="torch")
