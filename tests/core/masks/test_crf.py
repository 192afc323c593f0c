from __future__ import annotations

import sys
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from recam_cli.core.data.custom import open_custom
from recam_cli.core.data.images import read_image
from recam_cli.core.errors import DataError, ExitCode, UsageError
from recam_cli.core.masks import crf
from recam_cli.core.masks.crf import DEEPLAB, IRN, PSA, CrfParameters, DenseCrf, check_backend
from tests.helpers.crf_oracle import exact_mean_field
from tests.helpers.real_data import msrc_root

PUBLISHED = {"irn": IRN, "psa": PSA, "deeplab": DEEPLAB}
needs_pydensecrf = pytest.mark.skipif(find_spec("pydensecrf") is None, reason="pydensecrf is not installed")
every_backend = pytest.mark.parametrize(
    "backend", ["native", "torch", pytest.param("pydensecrf", marks=needs_pydensecrf)]
)


def quarters(height=9, width=12, seed=0):
    """A photograph of four quarters of different colour, with a little noise."""
    image = np.random.default_rng(seed).integers(0, 8, (height, width, 3), dtype=np.uint8)
    image[:, width // 2 :] += 120
    image[height // 2 :] += 60
    return image


def noisy_unary(labels, shape, seed=0):
    """Energies that favour label 0 on the left half and the last label on the right, under much noise."""
    unary = np.random.default_rng(seed).random((labels, *shape), dtype=np.float32) * 3
    unary[0, :, : shape[1] // 2] -= 1.5
    unary[-1, :, shape[1] // 2 :] -= 1.5
    return unary


@every_backend
@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("labels", [2, 3])
def test_one_step_agrees_with_the_sum_over_all_pairs(name, labels, backend):
    parameters = replace(PUBLISHED[name], iterations=1)
    for seed in range(3):
        image, unary = quarters(seed=seed), noisy_unary(labels, (9, 12), seed)

        fast = DenseCrf(image, labels, parameters, backend=backend).infer(unary)
        exact = exact_mean_field(image, unary, parameters)

        # The lattice behind the fast form is an approximation.
        assert np.abs(fast - exact).mean() < 0.02
        assert np.abs(fast - exact).max() < 0.12
        assert (fast.argmax(0) == exact.argmax(0)).mean() > 0.95


@every_backend
@pytest.mark.parametrize("name", PUBLISHED)
def test_ten_steps_label_as_the_sum_over_all_pairs_does_and_clean_the_noise(name, backend):
    image, unary = quarters(), noisy_unary(2, (9, 12))

    fast = DenseCrf(image, 2, PUBLISHED[name], backend=backend).infer(unary)
    exact = exact_mean_field(image, unary, PUBLISHED[name])

    assert (fast.argmax(0) == exact.argmax(0)).mean() > 0.97
    truth = np.arange(12)[None] >= 6
    assert (unary.argmin(0) == truth).mean() < 0.9
    assert (fast.argmax(0) == truth).mean() > 0.97


def test_the_unary_can_be_replaced_while_the_pairwise_terms_stay():
    image = quarters()
    one, other = noisy_unary(3, (9, 12), 1), noisy_unary(3, (9, 12), 2)
    kept = DenseCrf(image, 3)

    first = kept.infer(one)
    second = kept.infer(other)

    assert np.array_equal(first, DenseCrf(image, 3).infer(one))
    assert np.array_equal(second, DenseCrf(image, 3).infer(other))
    assert np.array_equal(kept.infer(one), first)


@settings(max_examples=40, deadline=None)
@given(
    image=hnp.arrays(np.uint8, st.tuples(st.integers(1, 7), st.integers(1, 7), st.just(3))),
    labels=st.integers(1, 4),
    data=st.data(),
)
def test_every_pixel_gets_a_distribution_whatever_the_size(image, labels, data):
    shape = (labels, *image.shape[:2])
    unary = data.draw(hnp.arrays(np.float32, shape, elements=st.floats(-20, 20, width=32)))

    found = DenseCrf(image, labels).infer(unary)

    assert found.shape == shape
    assert found.dtype == np.float32
    assert (found >= 0).all()
    assert np.allclose(found.sum(axis=0), 1, atol=1e-4)


@every_backend
@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1), (2, 2)])
def test_tiny_images_work(shape, backend):
    unary = np.zeros((2, *shape), dtype=np.float32)
    unary[1] = 5

    found = DenseCrf(np.zeros((*shape, 3), dtype=np.uint8), 2, backend=backend).infer(unary)

    assert (found.argmax(axis=0) == 0).all()


def test_without_steps_the_unary_decides():
    unary = noisy_unary(3, (4, 5))

    found = DenseCrf(quarters(4, 5), 3, replace(IRN, iterations=0)).infer(unary)

    powers = np.exp(-unary)
    assert np.allclose(found, powers / powers.sum(axis=0), atol=1e-5)


def test_input_of_other_layout_and_precision_gives_the_same():
    image, unary = quarters(), noisy_unary(2, (9, 12))
    expected = DenseCrf(image, 2).infer(unary)

    image_f, unary_f = np.asfortranarray(image), np.asfortranarray(unary.astype(np.float64))

    assert np.array_equal(DenseCrf(image_f, 2).infer(unary_f), expected)


def test_a_single_label_is_certain_without_the_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydensecrf.densecrf", None)

    found = DenseCrf(quarters(), 1).infer(np.full((1, 9, 12), 3.0))

    assert found.dtype == np.float32
    assert (found == 1).all()


@pytest.mark.parametrize(
    ("backend", "module", "remedy"),
    [
        ("native", "recam_cli.core.masks.native_crf", "pip install numba, or use --crf pydensecrf or --refine none"),
        ("pydensecrf", "pydensecrf.densecrf", "pip install pydensecrf2, or use --crf native or --refine none"),
    ],
)
def test_a_missing_library_names_the_remedy(backend, module, remedy, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(UsageError, match=remedy) as caught:
        check_backend(backend)

    assert caught.value.exit_code == ExitCode.USAGE
    assert "\n" not in str(caught.value)


def test_another_backend_is_one_line_in_the_registry(monkeypatch):
    def constant(image, labels, parameters):
        return lambda unaries: [np.full_like(unary, 1 / labels) for unary in unaries]

    monkeypatch.setitem(crf.BACKENDS, "constant", constant)

    assert (DenseCrf(quarters(), 4, backend="constant").infer(np.zeros((4, 9, 12))) == 0.25).all()
    with pytest.raises(UsageError, match=r"unknown dense CRF backend other.*auto, native, torch, pydensecrf, constant"):
        DenseCrf(quarters(), 4, backend="other")


@needs_pydensecrf
@pytest.mark.parametrize("labels", [2, 3, 5, 7])
@pytest.mark.parametrize("name", PUBLISHED)
def test_both_backends_give_the_same_distribution(name, labels):
    image, unary = quarters(31, 42), noisy_unary(labels, (31, 42))

    native = DenseCrf(image, labels, PUBLISHED[name], backend="native").infer(unary)

    other = DenseCrf(image, labels, PUBLISHED[name], backend="pydensecrf").infer(unary)
    assert np.abs(native - other).max() < 0.005


@needs_pydensecrf
def test_both_backends_label_real_photographs_alike():
    alike = pixels = 0
    for sample in list(open_custom(msrc_root(), "train"))[::30]:
        image = read_image(sample.image)
        unary = noisy_unary(4, image.shape[:2], seed=pixels)
        found = [DenseCrf(image, 4, backend=b).infer(unary).argmax(0) for b in ("native", "pydensecrf")]
        alike += int((found[0] == found[1]).sum())
        pixels += unary[0].size
    assert alike / pixels >= 0.995


@every_backend
@pytest.mark.parametrize("labels", [2, 3, 4, 6])
def test_problems_inferred_together_come_out_as_one_by_one(labels, backend):
    image = quarters(20, 30)
    unaries = [noisy_unary(labels, (20, 30), seed) for seed in range(3)]
    dense = DenseCrf(image, labels, backend=backend)

    for together, unary in zip(dense.infer_all(unaries), unaries, strict=True):
        assert np.allclose(together, dense.infer(unary), atol=1e-5)
        assert np.allclose(together.sum(axis=0), 1, atol=1e-5)


@pytest.mark.parametrize(
    "image",
    [np.zeros((4, 5), np.uint8), np.zeros((4, 5, 3), np.float32), np.zeros((0, 5, 3), np.uint8)],
    ids=["grey", "float", "empty"],
)
def test_an_image_of_another_kind_is_refused(image):
    with pytest.raises(UsageError, match=r"not uint8 \(H, W, 3\)"):
        DenseCrf(image, 1)


def test_energies_that_do_not_fit_are_refused():
    single = DenseCrf(quarters(), 1)

    with pytest.raises(UsageError, match="shape"):
        single.infer(np.zeros((2, 9, 12)))
    with pytest.raises(DataError, match="not finite"):
        single.infer(np.full((1, 9, 12), np.nan))
    with pytest.raises(UsageError, match="at least one"):
        DenseCrf(quarters(), 0)


@pytest.mark.parametrize(
    "change",
    [
        {"gaussian_sxy": 0},
        {"bilateral_srgb": -1},
        {"bilateral_compat": float("nan")},
        {"gaussian_compat": -0.1},
        {"iterations": -1},
    ],
)
def test_parameters_out_of_range_are_refused_by_name(change):
    with pytest.raises(UsageError, match=next(iter(change))):
        replace(IRN, **change)


def test_the_published_rows_are_as_published():
    assert CrfParameters(3, 3, 50, 5, 10, 10) == IRN
    assert CrfParameters(3, 3, 80, 13, 10, 10) == PSA
    assert CrfParameters(1, 3, 67, 3, 4, 10) == DEEPLAB
