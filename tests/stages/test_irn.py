"""make-masks --refine irn: labels, boundary network, walk, masks; each part recorded, kept and made anew when due."""

from __future__ import annotations

import numpy as np
import pytest

from recam_cli.core.cams.store import read_seed
from recam_cli.core.data.images import read_mask
from recam_cli.core.errors import DataError
from recam_cli.core.runs.run import Run
from tests.helpers.tiny_run import make_run
from tests.helpers.walk_run import walk

PARTS = ("confident-labels", "train-irn", "random-walk", "make-masks")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    root = tmp_path_factory.mktemp("irn")
    run = make_run(root)
    return root / "data", run.path


def make(data, path, **flags):
    return walk(data, path, "irn", **flags)


def test_every_part_is_recorded_with_what_it_was_made_from(trained):
    data, path = trained
    result = make(data, path)

    stages = Run.open(path).manifest.stages
    assert [stages[part].state for part in PARTS] == ["done"] * 4
    assert stages["train-irn"].inputs["confident-labels"] == stages["confident-labels"].fingerprint
    assert stages["random-walk"].inputs["irn"] == stages["train-irn"].outputs["irn"].sha256
    assert stages["make-masks"].inputs["random-walk"] == stages["random-walk"].fingerprint
    assert stages["make-masks"].notes["walk_threshold_chosen"] == "label-free"
    assert result.made == result.images == 4


def test_masks_are_the_walked_seeds_cut_at_the_threshold_after_the_walk(trained):
    data, path = trained
    make(data, path, walk_threshold="0.4")

    for file in (path / "masks").glob("*.png"):
        walked = read_seed(path / "walked" / f"{file.stem}.npz")
        assert np.array_equal(read_mask(file), walked.label(0.4))
        assert set(np.unique(read_mask(file))) <= {0, *(walked.classes + 1).tolist()}


def test_confident_labels_name_only_labelled_classes_background_and_undecided(trained):
    data, path = trained
    make(data, path)

    for file in (path / "confident").glob("*.png"):
        classes = read_seed(path / "seeds" / f"{file.stem}.npz").classes
        assert set(np.unique(read_mask(file))) <= {0, 255, *(classes + 1).tolist()}


def test_another_walk_keeps_labels_and_network_and_another_label_threshold_makes_all_anew(trained):
    data, path = trained
    make(data, path)
    network = (path / "irn" / "irn.safetensors").stat().st_mtime_ns

    assert make(data, path, walk_beta=4).made == 4
    assert (path / "irn" / "irn.safetensors").stat().st_mtime_ns == network

    make(data, path, confident_bg=0.1)
    assert (path / "irn" / "irn.safetensors").stat().st_mtime_ns > network


def test_weights_of_another_network_are_refused(trained):
    data, path = trained
    with pytest.raises(DataError, match=r"recam\.safetensors: not a boundary network but a classifier"):
        make(data, path, irn_weights=str(path / "classifier" / "recam.safetensors"))


def test_labels_walk_with_the_seeds_where_asked_for_also_with_given_weights(trained, tmp_path):
    data, path = trained
    make(data, path, walk_sources="labels", walk_scale=2.0)
    stages = Run.open(path).manifest.stages
    assert stages["random-walk"].inputs["confident-labels"] == stages["confident-labels"].fingerprint
    assert "as the seeds have at theirs" in stages["make-masks"].notes["walk_how"]
    usual = {p.name: p.read_bytes() for p in (path / "masks").glob("*.png")}
    weights = tmp_path / "irn.safetensors"
    weights.write_bytes((path / "irn" / "irn.safetensors").read_bytes())

    make(data, path, walk_sources="labels", walk_scale=2.0, irn_weights=str(weights))

    assert {p.name: p.read_bytes() for p in (path / "masks").glob("*.png")} == usual
    make(data, path, walk_sources="labels", walk_scale=2.0, confident_bg=0.05)
    assert (
        Run.open(path).manifest.stages["random-walk"].inputs["confident-labels"]
        != stages["confident-labels"].fingerprint
    )


def test_the_threshold_after_a_walk_of_labels_keeps_their_share_of_objects(trained):
    data, path = trained
    make(data, path, walk_sources="labels")

    labels = [read_mask(file) for file in sorted((path / "confident").glob("*.png"))]
    share = np.mean([(0.5 * (one == 255) + ((one > 0) & (one < 255))).mean() for one in labels])
    stage = Run.open(path).manifest.stages["confident-labels"]
    assert stage.metrics["objects"] == pytest.approx(share, abs=1e-5)
