"""The whole pipeline from the command line, as a shell script would run it."""

from __future__ import annotations

import json
import shlex
import shutil

import numpy as np
import pytest
from PIL import Image

from tests.helpers.kills import call
from tests.helpers.tiny_data import make_custom
from tests.helpers.weights_files import random_weights

TRAIN = ["--backbone", "mobilenet_v2", "--weights", "none", "--epochs", "1", "--recam-epochs", "1", "--crop", "32"]
TRAIN += ["--batch-size", "2", "--recam-batch-size", "2", "--long-side", "32,48", "--workers", "0"]
TRAIN += ["--probe-sides", "32"]
WALK = ["--irn-epochs", "1", "--irn-crop", "64", "--irn-batch-size", "2", "--walk-scale", "1"]
SEGMENT = ["--network", "lraspp", "--epochs", "1", "--batch-size", "2", "--crop", "32", "--workers", "0", "--no-crf"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a data set and a finished run, made by the six commands without naming the run again."""
    place = tmp_path_factory.mktemp("place")
    make_custom(place / "photos")
    for arguments in (
        ["train-cls", "--dataset", "custom", "--data-root", "photos", *TRAIN],
        ["make-seeds", "--scales", "1", "--workers", "0"],
        ["make-masks", "--workers", "0", *WALK],
        ["train-seg", *SEGMENT],
    ):
        outcome = call(*arguments, cwd=place)
        assert outcome.code == 0, outcome.err
    return place


def _run(place):
    [run] = (place / "runs").iterdir()
    return run


def test_every_stage_is_recorded_and_status_names_the_next_command(place):
    outcome = call("status", "--json", cwd=place)
    states = {name: stage["state"] for name, stage in outcome.json["stages"].items()}
    assert [states[name] for name in ("train-cls", "make-seeds", "make-masks", "train-seg")] == ["done"] * 4
    assert "recam evaluate --of segmentation" in outcome.json["next_command"]


@pytest.mark.parametrize(("of", "split"), [("seeds", "train"), ("masks", "train"), ("segmentation", "val")])
def test_evaluate_gives_percent_by_name_and_says_how_the_threshold_was_chosen(place, of, split):
    outcome = call("evaluate", "--of", of, "--json", cwd=place)
    assert outcome.code == 0, outcome.err
    result = outcome.json
    assert 0 <= result["miou"] <= 100
    assert set(result["per_class"]) == {"background", "bus", "cat", "dog"}
    assert result["split"] == split
    if of == "seeds":
        assert result["threshold_chosen"] == "swept with ground truth"
        assert result["label_free"] is not None
    if of == "masks":
        assert result["threshold_chosen"] == "label-free"


def test_masks_and_predictions_are_palette_pngs_of_their_images_size(place):
    run = _run(place)
    for folder in ("masks", "predictions/val"):
        for path in (run / folder).glob("*.png"):
            with (
                Image.open(path) as mask,
                Image.open(next((place / "photos/JPEGImages").glob(f"{path.stem}.*"))) as photo,
            ):
                assert mask.mode == "P"
                assert mask.size == photo.size
                assert np.asarray(mask).max() <= 3


def test_later_stages_find_data_and_weights_from_any_folder(tmp_path):
    """The data set lies at its default place, and the weights are named by a relative path."""
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    make_custom(home / "data" / "custom", 6)
    elsewhere.mkdir()
    random_weights(home / "start.safetensors")
    quick = ["--epochs", 1, "--batch-size", 2, "--crop", 32, "--workers", 0, "--device", "cpu"]
    begin = ["--backbone", "mobilenet_v2", "--weights", "start.safetensors", "--method", "cam", "--probe-sides", 32]
    assert call("train-cls", "--run", "run", "--dataset", "custom", *begin, *quick, cwd=home).code == 0
    assert call("make-seeds", "--run", "../home/run", "--scales", 1, cwd=elsewhere).code == 0
    assert call("make-masks", "--run", "../home/run", "--refine", "none", "--threshold", 0.3, cwd=elsewhere).code == 0
    segment = ["train-seg", "--run", "../home/run", "--network", "lraspp", "--stride", 16, "--init", "weights"]
    trained = call(*segment, *quick, cwd=elsewhere)
    assert (trained.code, [p.name for p in elsewhere.iterdir()]) == (0, []), trained.err


def test_stages_repeated_make_nothing_new(place):
    outcome = call("make-seeds", "--scales", "1", "--workers", "0", "--json", cwd=place)
    assert outcome.json["made"] == 0
    assert call("make-masks", "--workers", "0", *WALK, "--json", cwd=place).json["made"] == 0


def test_other_settings_are_refused_with_the_difference(place):
    outcome = call("make-masks", "--refine", "none", "--workers", "0", cwd=place)
    assert outcome.code == 4
    assert "refine irn → none" in outcome.err
    assert "--overwrite" in outcome.err


def test_the_manifest_holds_settings_with_their_sources(place):
    manifest = json.loads((_run(place) / "manifest.json").read_text())
    entry = manifest["stages"]["train-cls"]
    assert entry["sources"]["epochs"] == "flag"
    assert entry["sources"]["lr"] == "preset"
    assert entry["sources"]["momentum"] == "default"
    assert manifest["stages"]["make-seeds"]["sources"]["data_root"] == "run"


def test_quiet_leaves_stderr_empty(place):
    outcome = call("make-seeds", "--scales", "1", "--workers", "0", "--quiet", cwd=place)
    assert outcome.err == ""
    assert "seeds" in outcome.out


def test_status_shows_which_stages_are_outdated_and_what_to_do(place, tmp_path):
    shutil.copytree(_run(place), tmp_path / "run")
    again = ("make-seeds", "--scales", "0.5", "--workers", "0", "--overwrite", "--quiet")
    outcome = call(*again, "--run", tmp_path / "run", cwd=place)
    assert outcome.code == 0, outcome.err
    result = call("status", "--run", tmp_path / "run", "--json").json
    assert [n for n in ("make-seeds", "make-masks", "train-seg") if result["stages"][n]["outdated"]] == [
        "make-masks",
        "train-seg",
    ]
    words = shlex.split(result["next_command"])
    assert words[:2] == ["recam", "make-masks"] and {"--irn-epochs", "--overwrite"} <= set(words)
    assert "outdated by make-seeds" in call("status", "--run", tmp_path / "run").out
