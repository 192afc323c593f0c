"""Pooled features are those of each photograph alone, at each side and mirrored; and what is fitted without labels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from recam_cli.core.cams.reactivation import reactivate
from recam_cli.core.data.images import read_image, write_image
from recam_cli.core.data.samples import ImageSet, Sample
from recam_cli.core.data.sizes import size_at
from recam_cli.core.data.transforms import resized, to_tensor
from recam_cli.core.errors import NotFiniteError
from recam_cli.core.models.backbones import Backbone
from recam_cli.core.models.classifier import Classifier
from recam_cli.core.reporter import SilentReporter
from recam_cli.core.training.pooled import Looks, pooled_views, reactivations
from recam_cli.core.training.prior import object_row

SIDES = (24, 40)
SIZES = ((30, 40), (40, 22), (50, 60), (30, 40))
LABELS = ((0,), (0, 1, 2), (), (2,))


@pytest.fixture
def classifier():
    """Give a network that tells left from right, and whose padding shows."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 5, 3, stride=2, padding=1), nn.BatchNorm2d(5), nn.ReLU(), nn.Conv2d(5, 4, 3, 2, 1)]
    return Classifier(Backbone("tiny", [nn.Sequential(*layers)], (4,), 4), 3)


@pytest.fixture
def images(tmp_path):
    rng = np.random.default_rng(0)
    samples = []
    for place, (size, labels) in enumerate(zip(SIZES, LABELS, strict=True)):
        path = tmp_path / f"{place}.png"
        write_image(path, rng.integers(0, 256, (*size, 3), dtype=np.uint8))
        samples.append(Sample(str(place), path, labels))
    return ImageSet("custom", tmp_path, "train", ("a", "b", "c"), tuple(samples))


def looks(workers=0, sides=SIDES):
    return Looks(sides, "fp32", 10**6, workers)


def pooled(function, classifier, images, looks):
    with SilentReporter().track("", len(images)) as progress:
        return function(classifier, images, looks, progress)


def view(classifier, sample, side, *, mirrored):
    """Return the features of one photograph, (1, C, h, w), in the plainest way."""
    image = read_image(sample.image, longest=max(SIDES))
    pixels = to_tensor(resized(image, size_at(*image.shape[:2], side)))[None]
    with torch.no_grad():
        return classifier.eval().backbone(pixels.flip(3) if mirrored else pixels)


@pytest.mark.parametrize("workers", [0, 2])
def test_views_are_the_means_of_both_mirror_images_at_each_side(classifier, images, workers):
    views = pooled(pooled_views, classifier, images, looks(workers))
    assert views.features.shape == (4, 2, 4) and views.features.dtype == np.float32
    np.testing.assert_array_equal(views.targets, images.targets())
    for place, sample in enumerate(images):
        for at, side in enumerate(SIDES):
            both = [view(classifier, sample, side, mirrored=m).mean(dim=(0, 2, 3)) for m in (False, True)]
            assert not torch.allclose(*both, atol=1e-4)
            np.testing.assert_allclose(views.features[place, at], sum(both) / 2, rtol=1e-4, atol=1e-5)


def test_the_network_s_statistics_do_not_move(classifier, images):
    before = {name: value.clone() for name, value in classifier.train().state_dict().items()}
    pooled(pooled_views, classifier, images, looks())
    pooled(reactivations, classifier, images, looks())
    assert all(torch.equal(before[name], value) for name, value in classifier.state_dict().items())


def test_reactivated_features_are_those_of_each_view_and_class(classifier, images):
    found = pooled(reactivations, classifier, images, looks())
    wanted = []
    for sample in images:
        for side in SIDES if sample.labels else ():
            for mirrored in (False, True):
                features = view(classifier, sample, side, mirrored=mirrored)
                for k in sample.labels:
                    one = reactivate(features, classifier.fc1.weight.detach(), torch.eye(3)[[k]])
                    share = 1 / (3 * len(SIDES) * 2 * len(sample.labels))  # three photographs have labels
                    wanted.append((k, round(share, 6), *np.round(one.features[0].numpy(), 3)))
    rows = zip(found.classes.tolist(), found.weights, found.features, strict=True)
    ours = sorted((k, round(float(w), 6), *np.round(f, 3)) for k, w, f in rows)
    np.testing.assert_allclose(np.array(ours, float), np.array(sorted(wanted), float), atol=2e-3)


def test_weights_sum_to_one_and_every_labelled_photograph_has_the_same(classifier, images):
    found = pooled(reactivations, classifier, images, looks())
    assert len(found.weights) == (1 + 3 + 1) * len(SIDES) * 2
    assert found.weights.sum() == pytest.approx(1)
    assert sorted(set(found.weights.tolist())) == pytest.approx([1 / 36, 1 / 12])


def test_without_any_label_there_is_nothing(classifier, images):
    bare = ImageSet("custom", images.root, "train", images.classes, (images.samples[2],))
    found = pooled(reactivations, classifier, bare, looks())
    assert found.features.shape == (0, 4) and len(found.classes) == len(found.weights) == 0


def test_features_that_are_not_finite_name_the_photograph(classifier, images):
    nn.init.constant_(classifier.backbone.stages[0][3].bias, float("nan"))
    with pytest.raises(NotFiniteError, match=r"^[0-3]: .*not finite"):
        pooled(pooled_views, classifier, images, looks())


def test_an_object_s_row_points_to_the_strongest_classes_less_what_all_share():
    head = torch.eye(20, 8) + 3
    features = np.zeros((6, 2, 8), np.float32)
    features[..., 2] = 9
    row = object_row(features, head)
    assert int(row.argmax()) == 2 and float(row[2]) > 0.9
    torch.testing.assert_close(object_row(features, head + 5), row, rtol=1e-4, atol=1e-5)


def test_an_object_s_row_is_the_weighted_sum_written_out():
    rng = np.random.default_rng(0)
    features, head = rng.random((5, 3, 8)).astype(np.float32), rng.normal(size=(30, 8)).astype(np.float32)
    rows = head - head.mean(axis=0)
    logits = features.mean(axis=1) @ rows.T
    shares = (np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).mean(axis=0)
    best = np.argsort(-shares)[:5]
    wanted = sum(shares[c] * rows[c] for c in best) / shares[best].sum()
    np.testing.assert_allclose(object_row(features, torch.from_numpy(head)), wanted, rtol=1e-4, atol=1e-5)


def test_without_a_head_an_object_s_row_is_the_mean_feature():
    features = np.random.default_rng(0).random((5, 3, 8)).astype(np.float32)
    np.testing.assert_allclose(object_row(features, None), features.mean(axis=(0, 1)), rtol=1e-5)


def test_a_head_of_fewer_classes_than_five_is_enough():
    assert object_row(np.ones((2, 1, 4), np.float32), torch.eye(3, 4)).isfinite().all()
