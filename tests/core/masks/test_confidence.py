"""What a confidence is, how it lies on disk, and which pixels a threshold leaves out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from recam_cli.core.data.images import write_grey, write_mask
from recam_cli.core.errors import DataError
from recam_cli.core.masks.confidence import (
    LEVELS,
    confidence_levels,
    lowest_level,
    mean_confidence,
    read_confidence,
    unsure,
    write_confidence,
)
from recam_cli.core.masks.confidence_index import HEADER, index_csv
from recam_cli.core.masks.job import MaskTally
from recam_cli.core.masks.unary import probabilities, seed_scores


@given(seed=st.integers(0, 10_000), count=st.integers(1, 6), temperature=st.sampled_from([1.0, 0.5, 5.0]))
@settings(max_examples=40, deadline=None)
def test_levels_are_the_winners_share_of_the_tempered_distribution(seed, count, temperature):
    drawn = np.random.default_rng(seed).dirichlet(np.full(count, 0.3), (3, 4)).astype(np.float32)
    shares = np.moveaxis(np.maximum(drawn, 1e-30), -1, 0)

    levels = confidence_levels(shares, temperature=temperature)

    for y, x in np.ndindex(3, 4):
        powers = [float(p) ** (1 / temperature) for p in shares[:, y, x]]
        assert abs(levels[y, x] - 255 * max(powers) / sum(powers)) <= 0.501
    assert levels.dtype == np.uint8
    assert levels.min() >= round(LEVELS / count) - 1


@pytest.mark.parametrize("temperature", [1.0, 5.0])
def test_certainty_is_1_a_tie_is_a_half_and_equal_labels_share_alike(temperature):
    sure = np.array([1.0, 0.0, 0.0], np.float32).reshape(3, 1, 1)
    tied = np.array([0.5, 0.5], np.float32).reshape(2, 1, 1)
    equal = np.full((4, 1, 1), 0.25, np.float32)
    alone = np.ones((1, 1, 1), np.float32)

    found = [int(confidence_levels(d, temperature=temperature)[0, 0]) for d in (sure, tied, equal, alone)]

    assert found == [255, 128, 64, 255]


def test_without_a_crf_it_is_the_softmax_of_the_scores_with_the_backgrounds():
    maps = np.array([0.9, 0.3, 0.1], np.float32).reshape(1, 1, 3)

    levels = confidence_levels(probabilities(seed_scores(maps, 0.3), temperature=0.2))

    shares = [1 / (1 + np.exp(-abs(score - 0.3) / 0.2)) for score in (0.9, 0.3, 0.1)]
    assert levels[0].tolist() == [round(255 * share) for share in shares]


@pytest.mark.parametrize(("threshold", "level"), [(0, 0), (1e-9, 0), (0.5, 128), (0.6, 153), (0.99, 253), (1, 255)])
def test_the_lowest_level_kept(threshold, level):
    assert lowest_level(threshold) == level


@pytest.mark.parametrize("level", range(256))
def test_a_levels_own_confidence_keeps_it(level):
    assert lowest_level(level / LEVELS) == level


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_higher_threshold_leaves_out_at_least_as_much_and_0_nothing(one, other):
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    low, high = sorted((one, other))

    assert (unsure(levels, low) <= unsure(levels, high)).all()
    assert not unsure(levels, 0.0).any()


def test_levels_come_back_from_disk_as_they_were_in_a_grey_png(tmp_path):
    levels = np.arange(256, dtype=np.uint8).reshape(8, 32)

    write_confidence(tmp_path / "a.png", levels)

    assert np.array_equal(read_confidence(tmp_path / "a.png", (8, 32)), levels)
    with Image.open(tmp_path / "a.png") as image:
        assert (image.mode, image.size) == ("L", (32, 8))
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_a_confidence_that_is_none_is_refused_with_the_remedy(tmp_path):
    write_grey(tmp_path / "small.png", np.zeros((2, 3), np.uint8))
    write_mask(tmp_path / "palette.png", np.zeros((4, 4), np.uint8))
    (tmp_path / "torn.png").write_bytes((tmp_path / "small.png").read_bytes()[:-20])

    for name, message in [
        ("small", r"small\.png: 3×2 pixels, but its mask has 4×4"),
        ("palette", r"palette\.png: pixels of mode P"),
        ("torn", r"torn\.png: "),
        ("none", r"none\.png: no such greyscale PNG"),
    ]:
        with pytest.raises(DataError, match=message + r".*Delete it and run: recam make-masks"):
            read_confidence(tmp_path / f"{name}.png", (4, 4))


def test_means_are_of_whole_levels_and_undefined_without_pixels():
    assert mean_confidence(255 * 3 + 51, 4) == 0.8
    assert mean_confidence(0, 0) is None


def test_the_index_is_sorted_by_id_and_no_id_is_a_formula():
    tallies = {
        "b": MaskTally(pixels=10, background=6, undecided=1, lost=0, levels=2040, object_levels=255),
        '=HYPERLINK("x")': MaskTally(pixels=4, background=4, undecided=0, lost=1, levels=1020, object_levels=0),
    }

    lines = index_csv(tallies).splitlines()

    assert lines == [",".join(HEADER), '"\'=HYPERLINK(""x"")",1.0,0.0,', "b,0.8,0.1,0.333333"]
    assert index_csv(dict(reversed(tallies.items()))).splitlines() == lines
