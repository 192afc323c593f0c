from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from recam_cli.core.masks.lattice import WIDTHS, Lattice
from recam_cli.core.masks.torch_lattice import TorchLattice

POINTS = 60
DIMENSIONS = [1, 2, 3, 5, 6]


def compiled(features):
    lattice = Lattice.around(features).normalised()

    def filtered(values):
        target = np.zeros_like(values)
        lattice.filter_into(values, target, 1.0)
        return target

    return filtered


def in_torch(features):
    lattice = TorchLattice.around(torch.from_numpy(features)).normalised()
    return lambda values: lattice.filter(torch.from_numpy(values)).numpy()


every_form = pytest.mark.parametrize("form", [compiled, in_torch])


def cloud(dimensions, seed=0, spread=2.0, points=POINTS):
    return np.random.default_rng(seed).normal(0, spread, (points, dimensions)).astype(np.float32)


def numbers(width=4, seed=1, points=POINTS):
    return np.random.default_rng(seed).normal(0, 1, (points, width)).astype(np.float32)


@every_form
@pytest.mark.parametrize("dimensions", DIMENSIONS)
def test_filtering_is_linear(form, dimensions):
    filtered = form(cloud(dimensions))
    one, other = numbers(seed=1), numbers(seed=2)

    assert np.allclose(filtered(2 * one - 3 * other), 2 * filtered(one) - 3 * filtered(other), atol=1e-4)


@every_form
@pytest.mark.parametrize("dimensions", [2, 5])
def test_the_blur_is_symmetric_where_the_lattice_is_whole(form, dimensions):
    """Absent vertices make the blur depend on the order of directions; dense points leave none out."""
    filtered = form(cloud(dimensions, spread=0.1))
    one, other = numbers(seed=1), numbers(seed=2)

    ahead, back = (one * filtered(other)).sum(axis=0), (other * filtered(one)).sum(axis=0)

    assert np.allclose(ahead, back, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("dimensions", DIMENSIONS)
def test_both_forms_place_points_on_the_same_lattice_with_the_same_weights(dimensions):
    features = cloud(dimensions)
    native, other = Lattice.around(features), TorchLattice.around(torch.from_numpy(features))

    assert native.neighbours.shape[1] == other.neighbours.shape[2]
    assert np.allclose(native.weights, other.weights.numpy().T, atol=1e-6)
    # Vertices have other numbers: the same ones must share a number, and be neighbours of the same ones.
    total = native.neighbours.shape[1]
    name = np.full(total + 1, total)
    name[other.vertices.numpy().T.ravel()] = native.vertices.ravel()
    assert (name[other.vertices.numpy().T] == native.vertices).all()
    for direction in range(dimensions + 1):
        for side in (0, 1):
            theirs = name[other.neighbours[direction, side].numpy()]
            assert (theirs == native.neighbours[direction, name[:total], side]).all()


@settings(max_examples=30, deadline=None)
@given(
    features=hnp.arrays(
        np.float32, st.tuples(st.integers(1, 12), st.sampled_from([2, 5])), elements=st.floats(-400, 400, width=32)
    )
)
def test_both_forms_filter_alike_wherever_the_points_lie(features):
    values = numbers(points=len(features))

    assert np.allclose(compiled(features)(values), in_torch(features)(values), atol=1e-4)


def test_coordinates_of_any_size_that_the_packing_holds_are_told_apart():
    """Far apart in all five features: the product of the ranges does not fit one integer."""
    features = cloud(5, spread=3000.0)

    assert TorchLattice.around(torch.from_numpy(features)).neighbours.shape[2] == POINTS * 6
    assert np.allclose(compiled(features)(numbers()), in_torch(features)(numbers()), atol=1e-5)


@pytest.mark.parametrize("width", WIDTHS)
def test_values_filtered_together_come_out_as_four_by_four(width):
    lattice = Lattice.around(cloud(5)).normalised()
    values, together = numbers(width), np.zeros((POINTS, width), np.float32)
    lattice.filter_into(values, together, 0.7)

    for lane in range(0, width, 4):
        alone = np.zeros((POINTS, 4), np.float32)
        lattice.filter_into(np.ascontiguousarray(values[:, lane : lane + 4]), alone, 0.7)
        assert np.allclose(together[:, lane : lane + 4], alone, atol=1e-6)


@pytest.mark.parametrize("width", WIDTHS)
def test_several_threads_give_the_same_bits_as_one(width):
    features, values = cloud(5, points=9000), numbers(width, points=9000)
    results = []
    for threads in (1, 2):
        target = np.zeros_like(values)
        Lattice.around(features, threads=threads).normalised().filter_into(values, target, 1.0)
        results.append(target)

    assert np.array_equal(*results)


@every_form
@pytest.mark.parametrize("dimensions", DIMENSIONS)
def test_a_point_alone_gets_its_value_back(form, dimensions):
    values = numbers(points=1)

    assert np.allclose(form(cloud(dimensions, points=1))(values), values, atol=1e-5)


@every_form
def test_row_sums_are_evened_out_and_weights_stay_positive(form):
    filtered = form(cloud(2, spread=0.5))(np.ones((POINTS, 4), np.float32))

    assert (filtered > 0).all()
    assert np.abs(filtered - 1).max() < 0.5
    assert abs(filtered.mean() - 1) < 0.1
