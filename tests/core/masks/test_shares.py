"""Masks in words."""

from __future__ import annotations

import numpy as np

from recam_cli.core.masks.shares import shares


def test_every_value_that_occurs_is_named_with_its_share():
    mask = np.array([[0, 0, 1, 2], [0, 0, 7, 255]], dtype=np.uint8)
    assert shares(mask, ("cow", "dog")) == {
        "background": 0.5,
        "cow": 0.125,
        "dog": 0.125,
        "value 7": 0.125,
        "ignored": 0.125,
    }
