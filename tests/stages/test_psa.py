"""make-masks --refine psa: labels, affinity network, walk, masks; each part recorded, kept and made anew when due."""

from __future__ import annotations

import numpy as np
import pytest

from recam_cli.core.cams.store import read_seed
from recam_cli.core.data.images import read_image, read_mask
from recam_cli.core.errors import DataError
from recam_cli.core.masks.confident_alphas import AgreeingAlphas
from recam_cli.core.masks.job import refinement_of
from recam_cli.core.masks.refine import refine_seed
from recam_cli.core.runs.run import Run
from tests.helpers.tiny_run import make_run
from tests.helpers.walk_run import stamps, walk, walk_settings

PARTS = ("psa-labels", "train-psa", "random-walk", "make-masks")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    root = tmp_path_factory.mktemp("psa")
    run = make_run(root)
    return root / "data", run.path


def resolved(data, **flags):
    return walk_settings(data, "psa", **flags)


def make(data, path, **flags):
    return walk(data, path, flags.pop("refine", "psa"), **flags)


def test_every_part_is_recorded_with_what_it_was_made_from(trained):
    data, path = trained
    result = make(data, path)

    stages = Run.open(path).manifest.stages
    assert [stages[part].state for part in PARTS] == ["done"] * 4
    assert stages["train-psa"].inputs["psa-labels"] == stages["psa-labels"].fingerprint
    assert stages["train-psa"].outputs["psa"].path == "psa/psa.safetensors"
    walk = stages["random-walk"]
    assert walk.inputs["psa"] == stages["train-psa"].outputs["psa"].sha256
    assert (walk.inputs["alpha"], walk.inputs["floor"], walk.settings["walk_beta"]) == ("16", "0.2000", 8.0)
    assert stages["psa-labels"].inputs["floor"] == "0.2000"
    assert stages["make-masks"].inputs["random-walk"] == walk.fingerprint
    assert stages["make-masks"].settings["walk_beta"] == 8.0
    assert stages["make-masks"].notes["walk_threshold_chosen"] == "label-free"
    assert not {"confident-labels", "train-irn"} & set(stages)
    assert result.made == result.images == 4


@pytest.mark.parametrize("workers", [0, 2])
def test_labels_are_those_of_the_rule_on_every_seed(trained, workers):
    data, path = trained
    make(data, path, walk_floor="0.3", psa_high_alpha=20 + workers, workers=workers)

    rule = AgreeingAlphas(4, 20 + workers, floor=0.3)
    files = sorted((path / "psa-labels").glob("*.png"))
    assert len(files) == 4
    for file in files:
        image = read_image(data / "JPEGImages" / f"{file.stem}.jpg")
        assert np.array_equal(read_mask(file), rule(image, read_seed(path / "seeds" / f"{file.stem}.npz")))


def test_masks_are_the_walked_seeds_cut_and_with_crf_refined(trained):
    data, path = trained
    make(data, path, walk_threshold="0.5")
    for file in (path / "masks").glob("*.png"):
        walked = read_seed(path / "walked" / f"{file.stem}.npz")
        assert np.array_equal(read_mask(file), walked.label(0.5))

    make(data, path, walk_threshold="0.5", refine="psa+crf")
    how = refinement_of(resolved(data).settings)
    for file in (path / "masks").glob("*.png"):
        walked = read_seed(path / "walked" / f"{file.stem}.npz")
        image = read_image(data / "JPEGImages" / f"{file.stem}.jpg")
        assert np.array_equal(read_mask(file), refine_seed(image, walked, 0.5, how))


def test_another_walk_keeps_labels_and_network_and_other_exponents_make_all_anew(trained):
    data, path = trained
    make(data, path)
    taught = stamps(path, "psa-labels", "psa")

    for change in ({"walk_beta": 4}, {"psa_walk_alpha": 6}):
        assert make(data, path, **change).made == 4
        assert stamps(path, "psa-labels", "psa") == taught

    make(data, path, psa_low_alpha=8)
    assert all(taught[p] != stamp for p, stamp in stamps(path, "psa-labels", "psa").items())


def test_irn_and_psa_take_turns_without_training_anew(trained):
    data, path = trained
    small = {"irn_epochs": 1, "irn_batch_size": 2, "irn_crop": 32}
    make(data, path)
    make(data, path, refine="irn", **small)
    before = stamps(path, "psa-labels", "psa", "confident", "irn")
    walked = Run.open(path).require("random-walk")
    assert (walked.settings["walk_beta"], "alpha" in walked.inputs) == (10.0, False)

    assert make(data, path, **small).made == 4
    assert make(data, path, refine="irn", **small).made == 4

    assert stamps(path, "psa-labels", "psa", "confident", "irn") == before


def test_weights_of_another_network_are_refused(trained):
    data, path = trained
    make(data, path, refine="irn", irn_epochs=1, irn_batch_size=2, irn_crop=32)
    for folder, name, kind in (("classifier", "recam", "classifier"), ("irn", "irn", "boundary network")):
        with pytest.raises(DataError, match=rf"{name}\.safetensors: not an affinity network but a {kind}"):
            make(data, path, psa_weights=str(path / folder / f"{name}.safetensors"))
    make(data, path)
    with pytest.raises(DataError, match=r"psa\.safetensors: not a boundary network but an affinity network"):
        make(data, path, refine="irn", irn_weights=str(path / "psa" / "psa.safetensors"))
