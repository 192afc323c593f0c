from __future__ import annotations

import numpy as np
import pytest

from recam_cli.core.cams.floor import without_floor
from recam_cli.core.errors import UsageError


def test_the_floor_becomes_zero_and_one_stays():
    maps = np.array([0.0, 0.4, 0.7, 1.0], np.float32)
    assert np.allclose(without_floor(maps, 0.4), [0, 0, 0.5, 1])
    assert without_floor(maps, 0.4).dtype == np.float32
    assert np.array_equal(without_floor(maps, 0.0), maps)


@pytest.mark.parametrize("floor", [-0.1, 1.0])
def test_a_floor_outside_its_range_is_refused(floor):
    with pytest.raises(UsageError, match=f"before the walk is {floor:g}"):
        without_floor(np.zeros(1, np.float32), floor)
