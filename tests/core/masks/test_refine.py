from __future__ import annotations

import numpy as np
import pytest

from recam_cli.core.cams.store import Seed
from recam_cli.core.errors import DataError
from recam_cli.core.masks.crf import PSA, DenseCrf
from recam_cli.core.masks.refine import Refinement, SeedRefiner, refine_seed
from recam_cli.core.masks.unary import hard_unary, probabilities, seed_scores, soft_unary

SIZE = (24, 32)


def photo_of_two_things():
    """A dark ground with a red square (columns 4..12) and a green one (columns 20..28), rows 6..18."""
    image = np.full((*SIZE, 3), 30, np.uint8)
    image += np.random.default_rng(0).integers(0, 6, image.shape, dtype=np.uint8)
    truth = np.zeros(SIZE, np.uint8)
    image[6:18, 4:12] += np.array([180, 0, 0], np.uint8)
    image[6:18, 20:28] += np.array([0, 180, 0], np.uint8)
    truth[6:18, 4:12] = 4
    truth[6:18, 20:28] = 8
    return image, truth


def seed_of_two_things():
    """Blurred, too small maps of classes 3 and 7 (mask values 4 and 8)."""
    maps = np.full((2, 6, 8), 0.08, np.float32)
    maps[0, 2:4, 1:3] = [[1.0, 0.6], [0.7, 0.5]]
    maps[1, 2:4, 5:7] = [[0.5, 1.0], [0.4, 0.7]]
    return Seed(np.array([3, 7]), maps, SIZE)


def iou(mask, truth):
    shares = [((mask == v) & (truth == v)).sum() / ((mask == v) | (truth == v)).sum() for v in (0, 4, 8)]
    return float(np.mean(shares))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"unary": "soft"},
        {"unary": "soft", "scaling": "share"},
        {"parameters": PSA, "certainty": 0.6},
    ],
)
def test_refining_pulls_the_seed_to_the_things_edges(options):
    image, truth = photo_of_two_things()
    seed = seed_of_two_things()

    mask = refine_seed(image, seed, 0.3, Refinement(**options))

    assert mask.dtype == np.uint8
    assert mask.shape == SIZE
    assert set(np.unique(mask)) <= {0, 4, 8}
    assert iou(mask, truth) > iou(seed.label(0.3), truth) + 0.1


def test_the_parts_are_put_together_as_the_recipe_says():
    image, _ = photo_of_two_things()
    seed = seed_of_two_things()
    scores = seed_scores(seed.upsampled(), 0.3)
    values = np.array([0, 4, 8])

    hard = DenseCrf(image, 3).infer(hard_unary(scores.argmax(axis=0), 3))
    soft = DenseCrf(image, 3).infer(soft_unary(probabilities(scores, "softmax", temperature=0.4)))

    assert (refine_seed(image, seed, 0.3) == values[hard.argmax(axis=0)]).all()
    found = refine_seed(image, seed, 0.3, Refinement(unary="soft", temperature=0.4))
    assert (found == values[soft.argmax(axis=0)]).all()


def test_one_refiner_serves_many_thresholds():
    image, _ = photo_of_two_things()
    seed = seed_of_two_things()
    refiner = SeedRefiner(image, seed)

    for threshold in (0.1, 0.3, 0.6, 0.1):
        assert (refiner.mask(threshold) == refine_seed(image, seed, threshold)).all()


def test_an_image_without_classes_is_background():
    image, _ = photo_of_two_things()
    empty = Seed(np.zeros(0, np.int64), np.zeros((0, 6, 8), np.float32), SIZE)

    for unary in ("hard", "soft"):
        mask = refine_seed(image, empty, 0.3, Refinement(unary=unary))
        assert mask.dtype == np.uint8
        assert (mask == np.zeros(SIZE)).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1)])
def test_tiny_images_work(size):
    shape = (1, -(-size[0] // 4), -(-size[1] // 4))
    seed = Seed(np.array([0]), np.ones(shape, np.float32), size)

    assert (refine_seed(np.zeros((*size, 3), np.uint8), seed, 0.3) == 1).all()


def test_the_largest_class_id_fits_and_the_next_is_refused():
    image = np.zeros((4, 4, 3), np.uint8)

    assert (refine_seed(image, Seed(np.array([253]), np.ones((1, 1, 1), np.float32), (4, 4)), 0.3) == 254).all()
    with pytest.raises(DataError, match="class id 254"):
        refine_seed(image, Seed(np.array([254]), np.ones((1, 1, 1), np.float32), (4, 4)), 0.3)


def test_a_seed_of_another_image_is_refused():
    image, _ = photo_of_two_things()

    with pytest.raises(DataError, match=r"image of 24×32 pixels.*made of one of 32×24.*recam make-seeds"):
        refine_seed(image.transpose(1, 0, 2), seed_of_two_things(), 0.3)
