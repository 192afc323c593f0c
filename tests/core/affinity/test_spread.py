from __future__ import annotations

import numpy as np
import pytest
import torch

from recam_cli.core.affinity.spread import spread_seeds, without_floor
from recam_cli.core.cams.store import Seed
from recam_cli.core.errors import UsageError


def box_and_seed():
    """A closed box of boundaries, and a seed at one place in it on a background of 0.4."""
    edges = torch.zeros(1, 16, 20)
    edges[:, [3, 12], 4:16] = 1
    edges[:, 3:13, [4, 15]] = 1
    maps = np.full((1, 16, 20), 0.4, np.float32)
    maps[0, 6:9, 7:10] = 1
    return edges, Seed(np.array([2]), maps, (64, 80))


def test_a_seed_fills_what_its_boundaries_enclose_once_the_background_is_taken_off():
    edges, seed = box_and_seed()

    walked = spread_seeds([seed], edges, floor=0.4)[0]

    inside = walked.maps[0, 4:12, 5:15]
    assert inside.min() > 0.9
    outside = walked.maps[0].copy()
    outside[3:13, 4:16] = 0
    assert outside.max() < 1e-3
    assert walked.size == seed.size
    assert walked.classes.tolist() == [2]


def test_with_the_background_left_on_it_walks_too():
    edges, seed = box_and_seed()
    assert spread_seeds([seed], edges)[0].maps[0, 0, 0] > 0.5


def test_images_with_different_numbers_of_classes_walk_together_as_alone():
    generator = np.random.default_rng(0)
    seeds = [Seed(np.arange(n), generator.random((n, 8, 9), dtype=np.float32), (32, 36)) for n in (1, 3, 0, 2)]
    edges = torch.rand(4, 8, 9, generator=torch.Generator().manual_seed(0))

    together = spread_seeds(seeds, edges, floor=0.2)

    for i, seed in enumerate(seeds):
        alone = spread_seeds([seed], edges[i : i + 1], floor=0.2)[0]
        assert together[i].maps.shape == seed.maps.shape
        assert np.allclose(together[i].maps, alone.maps, atol=1e-6)


def test_values_that_do_not_fit_are_refused():
    edges, seed = box_and_seed()
    with pytest.raises(UsageError, match="do not fit boundaries"):
        spread_seeds([seed], edges[:, :5])
    with pytest.raises(UsageError, match="before the walk is 1"):
        without_floor(torch.zeros(1), 1.0)
