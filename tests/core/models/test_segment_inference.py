from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from recam_cli.core.errors import UsageError
from recam_cli.core.models.backbones import build_backbone
from recam_cli.core.models.segment_inference import (
    predict_image,
    predict_masks,
    predict_probabilities,
    refine_probabilities,
)
from recam_cli.core.models.segmenters import build_segmenter

VALUES = 4
SIZE = (37, 50)


class ColourSegmenter(nn.Module):
    """A stand-in whose logits are linear in the colour of each 4×4 cell: exact under mirroring."""

    num_values = VALUES

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([[0.0, 0, 0], [3, -1, -1], [-1, 3, -1], [-1, -1, 3]]))

    def logits(self, images):
        pooled = nn.functional.avg_pool2d(images, 4, ceil_mode=True, count_include_pad=False)
        return torch.einsum("bchw,vc->bvhw", pooled, self.weight)


def photo(seed, size=SIZE):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (-(-size[0] // 8), -(-size[1] // 8), 3), dtype=np.uint8)
    return np.kron(coarse, np.ones((8, 8, 1), np.uint8))[: size[0], : size[1]]


def network(msc=False):
    torch.manual_seed(0)
    backbone = build_backbone("mobilenet_v2", stride=16, dilation="full")
    backbone.freeze_statistics()
    return build_segmenter("deeplabv2", backbone, VALUES, msc=msc, generator=torch.Generator().manual_seed(0))


@given(
    seed=st.integers(0, 1000),
    scales=st.lists(st.sampled_from([0.5, 1.0, 1.5]), min_size=1, max_size=3),
    flip=st.booleans(),
)
@settings(max_examples=15, deadline=None)
def test_probabilities_sum_to_one_at_the_photographs_size(seed, scales, flip):
    maps = predict_probabilities(ColourSegmenter(), [photo(seed)], scales=scales, flip=flip)

    assert maps.shape == (1, VALUES, *SIZE)
    assert maps.dtype == torch.float32
    assert bool((maps >= 0).all())
    assert torch.allclose(maps.sum(dim=1), torch.ones(1, *SIZE), atol=1e-5)


def test_without_extras_it_is_the_softmax_of_the_enlarged_logits():
    model, image = ColourSegmenter(), photo(3, (32, 48))

    maps = predict_probabilities(model, [image], flip=False)

    from recam_cli.core.data.transforms import to_tensor

    grown = nn.functional.interpolate(model.logits(to_tensor(image)[None]), size=(32, 48), mode="bilinear")
    assert torch.allclose(maps, grown.softmax(dim=1), atol=1e-6)


@given(seed=st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_with_flip_the_mirrored_photograph_gives_the_mirrored_result(seed):
    image = photo(seed)
    mirrored = np.ascontiguousarray(image[:, ::-1])

    one, other = (
        predict_probabilities(ColourSegmenter(), [i], scales=(1.0, 0.5), flip=True) for i in (image, mirrored)
    )

    assert torch.allclose(one, other.flip(3), atol=1e-5)


def test_scales_and_mirror_images_are_averaged():
    model, image = ColourSegmenter(), photo(5)

    both = predict_probabilities(model, [image], scales=(1.0, 0.5), flip=False)

    single = [predict_probabilities(model, [image], scales=(s,), flip=False) for s in (1.0, 0.5)]
    assert torch.allclose(both, (single[0] + single[1]) / 2, atol=1e-6)


@pytest.mark.parametrize("msc", [False, True])
def test_a_batch_gives_what_each_photograph_gives_alone(msc):
    model, images = network(msc), [photo(i) for i in range(3)]

    together = predict_masks(model, images)

    for image, mask in zip(images, together, strict=True):
        alone, probabilities = predict_image(model, image)
        assert mask.shape == SIZE
        assert mask.dtype == alone.dtype == np.uint8
        assert np.mean(mask == alone) > 0.999  # batched sums may differ in the last bit
        assert np.array_equal(alone, probabilities.argmax(axis=0))


def test_the_network_is_left_in_evaluation_mode_without_gradients():
    model = network().train()

    maps = predict_probabilities(model, [photo(0)])

    assert not model.training
    assert not maps.requires_grad


@pytest.mark.parametrize("scales", [(), (0.0,), (1.0, -1.0)])
def test_scales_that_are_none_are_refused(scales):
    with pytest.raises(UsageError, match="greater than 0"):
        predict_probabilities(ColourSegmenter(), [photo(0)], scales=scales)


def test_a_photograph_of_one_pixel_is_segmented():
    mask, probabilities = predict_image(network(), np.full((1, 1, 3), 90, np.uint8), scales=(0.5, 1.0))

    assert mask.shape == (1, 1)
    assert probabilities.shape == (VALUES, 1, 1)


class TestCrf:
    @pytest.fixture(autouse=True)
    def _library(self):
        pytest.importorskip("pydensecrf")

    def test_it_removes_specks_that_the_photograph_does_not_show(self):
        image = np.full((24, 24, 3), 200, np.uint8)
        image[:, 12:] = 20
        right = np.where(np.arange(24) < 12, 0.2, 0.8) * np.ones((24, 1))
        right[5, 5] = right[18, 20] = 0.5
        right[5, 5] += 0.1
        right[18, 20] -= 0.1
        probabilities = np.stack([1 - right, right]).astype(np.float32)

        refined = refine_probabilities(image, probabilities)

        assert np.array_equal(refined.argmax(axis=0), np.tile(np.arange(24) >= 12, (24, 1)))
        assert np.allclose(refined.sum(axis=0), 1, atol=1e-4)

    def test_values_that_are_nowhere_likely_stay_out(self):
        probabilities = np.zeros((5, 8, 8), np.float32)
        probabilities[0], probabilities[2], probabilities[4] = 0.57, 0.4, 0.03

        refined = refine_probabilities(np.zeros((8, 8, 3), np.uint8), probabilities)

        assert refined[[1, 3, 4]].max() == 0
        assert np.allclose(refined[[0, 2]].sum(axis=0), 1, atol=1e-4)

    def test_an_image_of_background_only_stays_so(self):
        probabilities = np.zeros((3, 6, 6), np.float32)
        probabilities[0] = 1

        assert np.array_equal(refine_probabilities(np.zeros((6, 6, 3), np.uint8), probabilities), probabilities)

    def test_predictions_take_it_in_one_call(self):
        model, image = ColourSegmenter(), photo(9)

        masks = predict_masks(model, [image], crf=True)

        mask, probabilities = predict_image(model, image, crf=True)
        assert np.array_equal(masks[0], mask)
        assert np.array_equal(mask, probabilities.argmax(axis=0))


def test_the_side_is_what_the_network_sees_and_masks_have_the_sizes_asked_for():
    segmenter, image = ColourSegmenter(), photo(3, (40, 60))
    seen = []
    logits = segmenter.logits
    segmenter.logits = lambda images: (seen.append(tuple(images.shape[2:])), logits(images))[1]
    maps = predict_probabilities(segmenter, [image], side=120, scales=(1.0, 0.5), flip=False)
    assert seen == [(80, 120), (40, 60)]
    twice = predict_probabilities(segmenter, [image], scales=(2.0, 1.0), flip=False)
    assert torch.equal(maps, twice)

    small = predict_masks(segmenter, [image], side=120)[0]
    large, own = predict_masks(segmenter, [image, image], side=120, sizes=[(200, 300), (40, 60)])
    assert np.array_equal(own, small)
    assert large.shape == (200, 300)
    assert (large[2::5, 2::5] == small).mean() > 0.97
