"""Scenes keep their promises: same seed same picture, exact masks, labels that can be seen."""

import numpy as np
import pytest

from recam_cli.core.data.shapes import (
    CLASSES,
    PRETRAIN_CATEGORIES,
    ShapesSpec,
    render_scene,
    single_object_scene,
)
from recam_cli.core.data.shapes.canvas import Ownership, Stencilled
from recam_cli.core.data.shapes.geometry import Pose
from recam_cli.core.data.shapes.objects import CLUTTER, FAMILY_OF
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


def test_half_the_pictures_have_several_labels_and_families_meet():
    rng = np.random.default_rng(0)
    drawn = [draw_labels(rng) for _ in range(600)]
    several = [labels for labels in drawn if len(labels) > 1]
    together = [len({FAMILY_OF[CLASSES[label]].name for label in labels}) < len(labels) for labels in several]
    assert 0.4 < len(several) / len(drawn) < 0.6
    assert np.mean(together) > 0.6
    counts = np.bincount([label for labels in drawn for label in labels], minlength=len(CLASSES))
    assert counts.min() > 0.6 * counts.mean()


@pytest.mark.parametrize("name", CLASSES)
def test_the_parts_that_tell_a_class_are_a_small_share_of_it(name):
    family, rng = FAMILY_OF[name], np.random.default_rng(5)
    ownership = Ownership((256, 320))
    figure = family.members[name](rng, family.skin(rng))
    ownership.cover(Stencilled(figure, Pose(160, 230, 100), (256, 320)), 1)
    pixels, telling = ownership.visible(1)
    assert 0.02 < telling / pixels < 0.30


def test_labels_that_cannot_be_made_to_fit_are_refused(monkeypatch):
    monkeypatch.setattr("recam_cli.core.data.shapes.scene.MIN_VISIBLE_PIXELS", 10**6)
    monkeypatch.setattr("recam_cli.core.data.shapes.scene._TRIES", 2)
    with pytest.raises(UsageError, match="Choose a larger image size"):
        render_scene(np.random.default_rng(0), SMALL)


@pytest.mark.parametrize("category", range(len(PRETRAIN_CATEGORIES)))
def test_every_pretraining_category_is_drawn_the_same_from_the_same_seed(category):
    first, chosen = single_object_scene(np.random.default_rng(category), SMALL, category)
    again, _ = single_object_scene(np.random.default_rng(category), SMALL, category)
    np.testing.assert_array_equal(first, again)
    assert chosen == category
    assert first.shape == (64, 80, 3)


def test_pretraining_shows_none_of_the_classes_and_no_clutter_as_category():
    assert not set(PRETRAIN_CATEGORIES) & (set(CLASSES) | set(CLUTTER))
    assert len(set(PRETRAIN_CATEGORIES)) == len(PRETRAIN_CATEGORIES) >= 24


def test_pretraining_draws_a_category_when_none_is_given():
    drawn = {single_object_scene(np.random.default_rng(seed), SMALL)[1] for seed in range(12)}
    assert len(drawn) > 4


@pytest.mark.parametrize("values", [{"seed": -1}, {"train": 0}, {"val": 0}, {"size": (32, 160)}, {"size": (128, 4000)}])
def test_specs_that_cannot_be_drawn_are_refused(values):
    with pytest.raises(UsageError, match="shapes"):
        ShapesSpec(**values)
