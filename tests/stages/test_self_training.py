"""make-masks --self-epochs: draft masks, a segmenter that learns them, joined scores; each recorded and kept."""

from __future__ import annotations

import numpy as np
import pytest

from recam_cli.core.cams.store import read_seed
from recam_cli.core.data.images import read_mask
from recam_cli.core.masks.self_training import JOINED_THRESHOLD
from recam_cli.core.runs.run import Run
from tests.helpers.tiny_run import make_run
from tests.helpers.walk_run import stamps, walk

PARTS = ("random-walk", "draft-masks", "train-self", "self-training", "make-masks")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    root = tmp_path_factory.mktemp("self")
    run = make_run(root)
    return root / "data", run.path


def make(data, path, **flags):
    return walk(data, path, "irn", **({"self_epochs": 1} | flags))


def test_every_part_is_recorded_with_what_it_was_made_from(trained):
    data, path = trained
    make(data, path)

    stages = Run.open(path).manifest.stages
    assert [stages[part].state for part in PARTS] == ["done"] * 5
    assert stages["draft-masks"].inputs["random-walk"] == stages["random-walk"].fingerprint
    assert stages["train-self"].inputs["draft-masks"] == stages["draft-masks"].fingerprint
    assert stages["self-training"].inputs["self"] == stages["train-self"].outputs["self"].sha256
    assert stages["make-masks"].inputs["self-training"] == stages["self-training"].fingerprint
    assert Run.open(path).outdated("make-masks") is None


def test_drafts_are_the_walk_s_masks_and_masks_the_joined_seeds(trained):
    data, path = trained
    make(data, path)
    cut = Run.open(path).require("make-masks").notes["walk_threshold"]

    files = sorted((path / "masks").glob("*.png"))
    assert files
    for file in files:
        walked, joined = (read_seed(path / name / f"{file.stem}.npz") for name in ("walked", "joined"))
        assert np.array_equal(read_mask(path / "drafts" / file.name), walked.label(cut))
        assert np.array_equal(read_mask(file), joined.label(JOINED_THRESHOLD))
        assert set(np.unique(read_mask(file))) <= {0, *(walked.classes + 1).tolist()}


def test_a_repeated_command_keeps_every_part_and_another_weight_trains_nothing(trained):
    data, path = trained
    make(data, path)
    before = stamps(path, "drafts", "self"), stamps(path, "joined", "masks")
    assert make(data, path).kept == 4
    assert (stamps(path, "drafts", "self"), stamps(path, "joined", "masks")) == before

    assert make(data, path, self_weight=1.0).made == 4
    assert stamps(path, "drafts", "self") == before[0]


def test_the_weight_decides_whose_masks_they_are(trained):
    data, path = trained
    make(data, path, self_weight=0.0)
    for file in (path / "masks").glob("*.png"):
        differ = read_mask(file) != read_mask(path / "drafts" / file.name)
        assert differ.mean() < 0.01  # joined scores are kept in half precision


def test_without_a_walk_there_is_none(trained):
    data, path = trained
    make(data, path, refine="crf")
    assert "self-training" not in Run.open(path).require("make-masks").inputs


def test_another_run_of_the_same_seed_trains_the_same_segmenter(trained):
    data, path = trained
    weights = path / "self" / "self.safetensors"
    make(data, path, seed=5)
    first = weights.read_bytes()
    make(data, path, seed=6)
    assert weights.read_bytes() != first
    make(data, path, seed=5)
    assert weights.read_bytes() == first
