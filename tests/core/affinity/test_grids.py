"""Maps keep what they show on another grid."""

from __future__ import annotations

import pytest
import torch

from recam_cli.core.affinity.grids import on_grid


def test_cells_that_join_take_their_mean():
    maps = torch.arange(24.0).view(1, 1, 4, 6)
    assert torch.equal(on_grid(maps, (2, 3)), maps.view(1, 1, 2, 2, 3, 2).mean(dim=(3, 5)))


@pytest.mark.parametrize("grid", [(8, 12), (4, 6), (2, 3), (1, 1), (9, 7)])
def test_what_is_even_stays_even(grid):
    found = on_grid(torch.full((2, 3, 4, 6), 0.7), grid)
    assert found.shape == (2, 3, *grid)
    assert torch.allclose(found, torch.tensor(0.7))


def test_maps_of_the_same_grid_are_returned_as_they_are():
    maps = torch.rand(1, 2, 4, 6)
    assert on_grid(maps, (4, 6)) is maps


def test_an_image_without_classes_has_empty_maps_of_the_grid():
    assert on_grid(torch.zeros(1, 0, 4, 6), (8, 12)).shape == (1, 0, 8, 12)
