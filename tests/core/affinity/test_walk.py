"""The random walk against the published dense form, and its invariants."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recam_cli.core.affinity import walk_loops
from recam_cli.core.affinity.pairs import offsets, path
from recam_cli.core.affinity.walk import Transition, chebyshev_factors
from recam_cli.core.errors import UsageError
from tests.benchmarks.published_walk import dense_walk


def _edges(height, width, seed=0, batch=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(batch, height, width, generator=generator) ** 3


def _scores(height, width, seed=1, batch=1, classes=2):
    return torch.rand(batch, classes, height, width, generator=torch.Generator().manual_seed(seed))


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 14), st.integers(1, 14), st.integers(0, 1000), st.sampled_from([0, 1, 2, 7, 64, 256]))
def test_the_walk_equals_the_dense_form_to_a_ten_thousandth_of_its_maximum(height, width, seed, steps):
    edges, scores = _edges(height, width, seed), _scores(height, width, seed + 1)
    walked = Transition.within(edges).walk(scores, steps)
    wanted = dense_walk(edges[0], scores[0], steps=steps)
    assert (walked[0] - wanted).abs().max() <= 1e-4 * wanted.max()


def test_the_walk_equals_the_dense_form_on_a_grid_of_many_cells():
    edges, scores = _edges(40, 53), _scores(40, 53, classes=3)
    wanted = dense_walk(edges[0], scores[0], steps=256)
    assert (Transition.within(edges).walk(scores)[0] - wanted).abs().max() <= 1e-4 * wanted.max()


def test_images_of_a_batch_do_not_touch_each_other():
    edges, scores = _edges(9, 11, batch=3), _scores(9, 11, batch=3)
    together = Transition.within(edges).walk(scores)
    apart = [Transition.within(edges[i : i + 1]).walk(scores[i : i + 1])[0] for i in range(3)]
    assert torch.allclose(together, torch.stack(apart), atol=1e-6)


def test_nothing_passes_a_closed_boundary():
    edges = torch.zeros(1, 10, 20)
    edges[:, :, 10] = 1
    scores = torch.zeros(1, 1, 10, 20)
    scores[..., :10] = 1
    walked = Transition.within(edges).walk(scores)
    assert walked[..., 11:].abs().max() <= 1e-5
    assert torch.allclose(walked[..., :10], torch.ones(()), atol=1e-4)


def test_equal_scores_stay_equal_where_every_cell_receives_all_it_gives():
    walked = Transition.within(_edges(12, 9)).walk(torch.full((1, 1, 12, 9), 0.5))
    assert torch.allclose(walked, torch.full((1, 1, 12, 9), 0.5), atol=1e-4)


def test_fewer_products_than_steps_are_needed():
    assert len(chebyshev_factors(256)) - 1 <= 80
    assert sum(chebyshev_factors(256)) == pytest.approx(1, abs=1e-5)


def test_offsets_and_paths_are_the_published_ones():
    assert len(offsets(5)) == 34
    assert len(offsets(10)) == 152
    for offset in offsets(10):
        cells = np.array(path(offset))
        assert (0, 0) in path(offset)
        assert tuple(offset) in path(offset)
        assert (cells[:, 0] >= 0).all()
        assert (cells[:, 0] <= offset.dy).all()


def test_scores_of_another_size_are_refused():
    with pytest.raises(UsageError, match="on a walk of 4×5"):
        Transition.within(_edges(4, 5)).walk(_scores(5, 4))


def test_the_compiled_step_is_the_one_of_tensors():
    for height, width in ((1, 1), (3, 2), (2, 30), (11, 13)):
        transition = Transition.within(_edges(height, width, batch=2))
        scores = _scores(height, width, batch=2)
        compiled = transition.step(scores)
        by_tensors = transition.tensor_step(scores)
        assert torch.allclose(compiled, by_tensors, atol=1e-6)


@pytest.mark.parametrize("width", range(1, 6))
@pytest.mark.parametrize("height", range(1, 6))
def test_a_grid_smaller_than_the_radius_reads_nothing_beside_its_own_scores(height, width):
    beside = torch.full((3, 2, height, width), torch.nan)
    beside[1] = _scores(height, width)[0]
    transition = Transition.within(_edges(height, width))
    assert torch.allclose(transition.step(beside[1:2]), transition.tensor_step(beside[1:2]), atol=1e-6)


@pytest.mark.parametrize("images", [1, 2, 5])
def test_any_number_of_threads_walks_to_the_same_bits(images, monkeypatch):
    edges, scores = _edges(64, 70, batch=images), _scores(64, 70, batch=images)
    alone = Transition.within(edges)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    one = alone.walk(scores, 16)

    parts, step = [], walk_loops.step
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    monkeypatch.setattr(walk_loops, "step", lambda *rest: (parts.append(rest[:2]), step(*rest)))
    assert torch.equal(alone.walk(scores, 16), one)
    assert len(set(parts)) >= 3
