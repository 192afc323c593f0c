"""Scenes keep their promises: same seed same picture, exact masks, labels that can be seen."""

import numpy as np
import pytest

from recam_cli.core.data.shapes import CLASSES, ShapesSpec, render_scene
from recam_cli.core.data.shapes.backdrop import BACKDROPS
from recam_cli.core.data.shapes.canvas import Canvas, Light, Stencilled, extent
from recam_cli.core.data.shapes.geometry import Pose
from recam_cli.core.data.shapes.objects import CLUTTER, KINDS, PAIRS
from recam_cli.core.data.shapes.scene import MIN_VISIBLE_PIXELS, draw_labels
from recam_cli.core.errors import UsageError

SMALL = ShapesSpec(size=(64, 80))


def test_same_seed_gives_the_same_scene_and_another_seed_another():
    first, again, other = (render_scene(np.random.default_rng(seed), SMALL) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert first[2] == again[2]
    assert not np.array_equal(first[0], other[0])


@pytest.mark.parametrize("size", [(64, 64), (65, 97), (128, 160)])
def test_mask_holds_exactly_the_labels_and_every_label_is_visible(size):
    for seed in range(12):
        image, mask, labels = render_scene(np.random.default_rng([seed, 1]), ShapesSpec(size=size))
        assert image.shape == (*size, 3)
        assert image.dtype == np.uint8
        assert mask.shape == size
        assert mask.dtype == np.uint8
        assert set(np.unique(mask)) - {0} == {label + 1 for label in labels}
        assert all((mask == label + 1).sum() >= MIN_VISIBLE_PIXELS for label in labels)
        assert 1 <= len(labels) <= 3
        assert list(labels) == sorted(set(labels))


@pytest.mark.parametrize("label", range(len(CLASSES)))
def test_every_class_can_be_asked_for(label):
    _, mask, labels = render_scene(np.random.default_rng(label), SMALL, labels=[label])
    assert labels == (label,)
    assert set(np.unique(mask)) == {0, label + 1}


def test_pictures_are_neither_flat_nor_clipped():
    for seed in range(8):
        image, _, _ = render_scene(np.random.default_rng([seed, 2]), SMALL)
        assert image.std() > 15
        assert ((image == 0) | (image == 255)).mean() < 0.25


def test_the_classes_of_a_pair_mostly_meet_but_each_is_often_seen_without_the_other():
    rng = np.random.default_rng(0)
    drawn = [{CLASSES[label] for label in draw_labels(rng)} for _ in range(2000)]
    for pair in PAIRS:
        for name, partner in (pair, pair[::-1]):
            shown = [names for names in drawn if name in names]
            assert 0.5 < np.mean([partner in names for names in shown]) < 0.75
            assert len(shown) > 0.6 * 2 * len(drawn) / len(CLASSES)
    assert {len(names) for names in drawn} == {1, 2, 3}
    assert sorted(name for pair in PAIRS for name in pair) == sorted(CLASSES)


def test_every_pair_has_a_backdrop_on_which_both_are_seen_and_all_backdrops_and_clutter_exist():
    for first, second in PAIRS:
        assert set(KINDS[first].homes) & set(KINDS[second].homes)
    assert {home for kind in KINDS.values() for home in kind.homes} == set(BACKDROPS)
    for draw in BACKDROPS.values():
        stage = draw(np.random.default_rng(0), 96, 128)
        assert stage.pixels.shape == (96, 128, 3)
        assert 0 < stage.horizon < stage.shore <= 1
        assert set(stage.clutter) <= set(CLUTTER)


@pytest.mark.parametrize("home", sorted({home for kind in KINDS.values() for home in kind.homes}))
def test_no_backdrop_gives_a_class_away(home):
    assert sum(home in kind.homes for kind in KINDS.values()) >= 2


@pytest.mark.parametrize("label", range(len(CLASSES)))
def test_a_lone_object_is_neither_lost_in_the_picture_nor_fills_it(label):
    shares = [(render_scene(np.random.default_rng(seed), SMALL, [label])[1] > 0).mean() for seed in range(12)]
    assert min(shares) > 0.02
    assert 0.08 < np.median(shares) < 0.5
    assert max(shares) < 0.7


@pytest.mark.parametrize("name", CLASSES)
def test_a_figure_stands_on_its_feet_and_hides_all_of_what_is_behind_its_body(name):
    figure = KINDS[name].build(np.random.default_rng(5))
    left, top, right, bottom = extent(figure)
    assert -0.05 < bottom < 0.1 < -top
    assert left < 0 < right
    canvas = Canvas(np.zeros((256, 320, 3), np.float32), Light((0.0, -0.6, 0.8), 0.5))
    canvas.paint(Stencilled(figure, Pose(160, 230, 80), (256, 320)), np.random.default_rng(0))
    assert (canvas.pixels.max(axis=2) > 0).mean() > 0.04


def test_labels_that_cannot_be_made_to_fit_are_refused(monkeypatch):
    monkeypatch.setattr("recam_cli.core.data.shapes.scene.MIN_VISIBLE_PIXELS", 10**6)
    monkeypatch.setattr("recam_cli.core.data.shapes.scene._TRIES", 2)
    with pytest.raises(UsageError, match="Choose a larger image size"):
        render_scene(np.random.default_rng(0), SMALL)


@pytest.mark.parametrize("values", [{"seed": -1}, {"train": 0}, {"val": 0}, {"size": (32, 160)}, {"size": (128, 4000)}])
def test_specs_that_cannot_be_drawn_are_refused(values):
    with pytest.raises(UsageError, match="shapes"):
        ShapesSpec(**values)
