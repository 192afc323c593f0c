"""Scoring files: pairing two folders, and every fault of a file named."""

from __future__ import annotations

import numpy as np
import pytest

from recam_cli.core.cams.store import write_seed
from recam_cli.core.data.images import write_mask
from recam_cli.core.errors import DataError
from recam_cli.core.metrics.confusion import ConfusionMatrix
from recam_cli.core.metrics.score_files import Pair, folder_pairs, score_masks, score_seeds
from recam_cli.core.reporter import SilentReporter
from tests.helpers.scoring import NUM_VALUES, random_seed, scored_set, write_predictions, write_seeds


@pytest.fixture
def progress():
    with SilentReporter().track("test", 1) as bar:
        yield bar


def test_masks_from_files_equal_masks_in_memory(tmp_path, progress):
    images, truths = scored_set(tmp_path)
    predictions = write_predictions(tmp_path / "pred", truths)
    pairs = [Pair(s.mask, tmp_path / "pred" / f"{s.id}.png") for s in images]
    expected = ConfusionMatrix(NUM_VALUES)
    for name, truth in truths.items():
        expected.update(truth, predictions[name])
    assert (score_masks(pairs, NUM_VALUES, progress).counts == expected.counts).all()


def test_seeds_from_files_equal_their_labels_in_memory(tmp_path, progress):
    images, truths = scored_set(tmp_path)
    seeds = write_seeds(tmp_path / "seeds", images, truths)
    pairs = [Pair(s.mask, tmp_path / "seeds" / f"{s.id}.npz") for s in images]
    sweep = score_seeds(pairs, NUM_VALUES, [0.2, 0.35], progress)
    for threshold in (0.2, 0.35):
        expected = ConfusionMatrix(NUM_VALUES)
        for name, truth in truths.items():
            expected.update(truth, seeds[name].label(threshold))
        assert (sweep.confusion(threshold).counts == expected.counts).all()


def test_a_seed_of_another_size_is_refused_before_its_maps_are_enlarged(tmp_path, progress):
    images, _ = scored_set(tmp_path, count=1)
    huge = random_seed(np.random.default_rng(0), (4, 4), [0])
    write_seed(tmp_path / "img0.npz", type(huge)(huge.classes, huge.maps, (3, 4)))
    with pytest.raises(DataError, match=r"img0\.npz: 4×3 pixels, but the true mask .*img0\.png has 30×21"):
        score_seeds([Pair(images.samples[0].mask, tmp_path / "img0.npz")], NUM_VALUES, [0.5], progress)


def test_a_value_out_of_range_names_the_file(tmp_path, progress):
    images, truths = scored_set(tmp_path, count=1)
    write_mask(tmp_path / "img0.png", np.full(truths["img0"].shape, 9, np.uint8))
    with pytest.raises(DataError, match=rf"{tmp_path}/img0\.png: mask value 9"):
        score_masks([Pair(images.samples[0].mask, tmp_path / "img0.png")], NUM_VALUES, progress)


def test_folders_pair_by_name_and_the_unscored_are_counted(tmp_path):
    _, truths = scored_set(tmp_path)
    write_predictions(tmp_path / "pred", truths | {"other": truths["img0"]})
    (tmp_path / "pred" / "notes.txt").write_text("x")
    pairs, unused = folder_pairs(tmp_path / "pred", tmp_path / "truth", None)
    assert [(p.truth.name, p.prediction.name) for p in pairs] == [(f"img{i}.png",) * 2 for i in range(3)]
    assert unused == 1


def test_a_truth_without_prediction_is_refused_unless_a_list_leaves_it_out(tmp_path):
    _, truths = scored_set(tmp_path)
    del truths["img1"]
    write_predictions(tmp_path / "pred", truths)
    with pytest.raises(DataError, match=r"pred/img1\.png: no prediction for .*--id-list"):
        folder_pairs(tmp_path / "pred", tmp_path / "truth", None)
    listed = tmp_path / "ids.txt"
    listed.write_text("img2\n\nimg0\n")
    pairs, unused = folder_pairs(tmp_path / "pred", tmp_path / "truth", listed)
    assert [p.truth.name for p in pairs] == ["img2.png", "img0.png"]
    assert unused == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no id in it"),
        ("img0\nimg0\n", "img0 stands there twice"),
        ("../img0\n", "names a folder"),
        ("nothere\n", r"nothere\.png: no such true mask"),
    ],
)
def test_a_faulty_list_is_refused(tmp_path, text, message):
    _, truths = scored_set(tmp_path)
    write_predictions(tmp_path / "pred", truths)
    (tmp_path / "ids.txt").write_text(text)
    with pytest.raises(DataError, match=message):
        folder_pairs(tmp_path / "pred", tmp_path / "truth", tmp_path / "ids.txt")


def test_missing_and_empty_folders_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no PNG in it"):
        folder_pairs(tmp_path / "empty", tmp_path / "empty", None)
    with pytest.raises(DataError, match="nowhere: cannot be read as a folder"):
        folder_pairs(tmp_path / "nowhere", tmp_path / "empty", None)
