"""The stencil agrees with the paint, and with counting pixel by pixel."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from recam_cli.core.data.shapes.canvas import Canvas, Layer, Light, Ownership, Stencilled, extent
from recam_cli.core.data.shapes.geometry import Pose, box, ellipse
from recam_cli.core.data.shapes.texture import Material

LIGHT = Light((0.0, -0.6, 0.8), 0.5)
WHITE = Material((200.0, 200.0, 200.0), contrast=0.0)


def figure_at(x, y, scale, canvas, mirrored=False):
    figure = [
        Layer([ellipse(0, -0.5, 0.4, 0.5), box(0.2, -0.3, 0.9, -0.1)], WHITE, 0.1),
        Layer([box(0.5, -0.6, 0.8, -0.2)], WHITE, 0.0),
    ]
    return Stencilled(figure, Pose(x, y, scale, 0.1, 1.0, mirrored), canvas)


@given(x=st.floats(-30, 110), y=st.floats(-10, 130), scale=st.floats(3, 90), mirrored=st.booleans())
@settings(max_examples=40, deadline=None)
def test_owned_pixels_are_exactly_the_painted_ones(x, y, scale, mirrored):
    item = figure_at(x, y, scale, (96, 80), mirrored)
    canvas, ownership = Canvas(np.zeros((96, 80, 3), np.float32), LIGHT), Ownership((96, 80))
    canvas.paint(item, np.random.default_rng(0))
    ownership.cover(item, 1)
    np.testing.assert_array_equal(canvas.pixels.max(axis=2) > 0, ownership.owner == 1)


def test_mask_at_image_size_goes_to_the_majority_and_among_equals_to_the_lowest_number():
    rng = np.random.default_rng(1)
    ownership = Ownership((40, 60))
    ownership.owner[:] = rng.integers(0, 4, (40, 60))
    quick = ownership.at_image_size(3)
    for row in range(20):
        for column in range(30):
            block = ownership.owner[2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            assert quick[row, column] == np.argmax(np.bincount(block.ravel(), minlength=4))


def test_what_is_painted_later_hides_what_is_under_it():
    ownership = Ownership((96, 80))
    ownership.cover(figure_at(40, 80, 50, (96, 80)), 1)
    whole = ownership.visible(1)
    ownership.cover(figure_at(60, 85, 50, (96, 80)), 2)
    ownership.cover(figure_at(60, 90, 50, (96, 80)))
    assert ownership.visible(1) < whole
    assert ownership.visible(2) < whole
    assert (ownership.owner == 0).any()


def test_light_comes_from_above():
    canvas = Canvas(np.zeros((100, 100, 3), np.float32), LIGHT)
    ball = [Layer([ellipse(0, -0.5, 0.5, 0.5)], WHITE, 0.5)]
    canvas.paint(Stencilled(ball, Pose(50, 90, 80), (100, 100)), np.random.default_rng(0))
    assert canvas.pixels[16, 50].mean() > 1.3 * canvas.pixels[84, 50].mean()


def test_extent_covers_all_layers():
    layers = [Layer([box(-1, -2, 0, 0)], WHITE), Layer([box(0, -1, 3, 0.5)], WHITE)]
    assert extent(layers) == (-1.0, -2.0, 3.0, 0.5)
