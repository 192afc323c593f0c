"""Outlines have the places and areas that their arguments say."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recam_cli.core.data.shapes.geometry import box, pane


def area(outline):
    """Return the shoelace area of a closed outline, positive or negative by its direction."""
    x, y = outline.T
    return 0.5 * float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))


@given(
    left=st.floats(-2, 2),
    top=st.floats(-2, 2),
    width=st.floats(0.2, 3),
    height=st.floats(0.2, 3),
    share=st.floats(0, 0.5),
)
def test_a_pane_is_a_box_without_its_corners(left, top, width, height, share):
    corner = share * min(width, height)
    outline = pane(left, top, left + width, top + height, corner)
    np.testing.assert_allclose(outline.min(axis=0), (left, top), atol=1e-9)
    np.testing.assert_allclose(outline.max(axis=0), (left + width, top + height), atol=1e-9)
    whole = abs(area(box(left, top, left + width, top + height)))
    assert whole - 0.95 * corner**2 - 1e-9 <= area(outline) <= whole - 0.85 * corner**2 + 1e-9
