"""make-masks --instances: maps of exactly the masks' objects, recorded, kept and made anew; and nothing without it."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from recam_cli.core.cams.store import Seed, read_seed
from recam_cli.core.data.images import read_mask
from recam_cli.core.errors import DataError, RunError, UsageError
from recam_cli.core.models.checkpoint import read_state
from recam_cli.core.reporter import SilentReporter
from recam_cli.core.runs.run import Run
from recam_cli.core.settings.make_masks import MakeMasksSettings
from recam_cli.core.settings.resolve import resolve
from recam_cli.stages import make_masks
from tests.helpers.tiny_data import TINY_CLASSES
from tests.helpers.tiny_run import make_run, put_seed

FOLDERS = ("confident", "irn", "walked", "masks")


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A run whose masks were made without the option."""
    root = tmp_path_factory.mktemp("plain")
    run = make_run(root)
    make(root / "data", run.path)
    return root / "data", run.path


@pytest.fixture(scope="module")
def told_apart(plain, tmp_path_factory):
    """The same run after make-masks --instances."""
    data, path = plain
    copy = tmp_path_factory.mktemp("apart") / "run"
    shutil.copytree(path, copy)
    return data, copy, make(data, copy, instances=True, overwrite=False)


@pytest.fixture
def run_copy(told_apart, tmp_path):
    data, path, _ = told_apart
    shutil.copytree(path, tmp_path / "run")
    return data, tmp_path / "run"


def make(data, path, **flags):
    small = {"irn_epochs": 1, "irn_batch_size": 2, "irn_crop": 32, "irn_radius": 3, "threshold": "0.3", "workers": 0}
    common = {"dataset": "custom", "data_root": str(data), "refine": "irn", "device": "cpu", "precision": "fp32"}
    resolved = resolve(MakeMasksSettings, flags=common | small | {"overwrite": True} | flags)
    return make_masks.run(resolved, Run.open(path), SilentReporter())


def times(path, *folders):
    files = sorted(p for f in folders for p in (path / f).iterdir() if not p.name.startswith("."))
    return {str(p.relative_to(path)): p.stat().st_mtime_ns for p in files}


def test_without_the_option_nothing_of_it_is_written(plain):
    _, path = plain
    assert not (path / "instances").exists()
    assert "instances" not in Run.open(path).manifest.stages
    assert not any(name.startswith("displacement") for name in read_state(path / "irn" / "irn.safetensors"))
    assert "instances" not in json.loads((path / "manifest.json").read_text())["stages"]["train-irn"]["settings"]


def test_the_boundary_branch_is_trained_bit_for_bit_as_without_the_other(plain, told_apart):
    alone, both = (read_state(p / "irn" / "irn.safetensors") for p in (plain[1], told_apart[1]))
    assert all(np.array_equal(tensor.numpy(), both[name].numpy()) for name, tensor in alone.items())
    added = both.keys() - alone.keys()
    assert added
    assert all(name.startswith("displacement.") for name in added)
    assert both["displacement.mean"].abs().min() > 0


def test_what_does_not_depend_on_the_other_branch_is_kept_when_it_is_added_and_when_it_is_left_out(plain, run_copy):
    data, path = run_copy
    for folder in ("confident", "walked", "masks"):
        assert times(path, folder) == times(plain[1], folder)
    before = times(path, *FOLDERS, "instances")
    make(data, path, overwrite=False)
    assert times(path, *FOLDERS, "instances") == before


def test_maps_show_the_masks_objects_and_lists_say_their_classes(told_apart):
    _, path, result = told_apart
    listed = 0
    for file in sorted((path / "masks").glob("*.png")):
        mask, found = read_mask(file), read_mask(path / "instances" / file.name)
        about = json.loads((path / "instances" / f"{file.stem}.json").read_text())
        assert np.array_equal(found > 0, mask > 0)
        assert about["size"] == list(mask.shape)
        assert [entry["instance"] for entry in about["instances"]] == list(range(1, int(found.max()) + 1))
        for entry in about["instances"]:
            pixels = mask[found == entry["instance"]]
            assert set(pixels) == {entry["mask_value"]}
            assert entry["pixels"] == len(pixels)
            assert entry["class"] == TINY_CLASSES[entry["mask_value"] - 1]
            assert 0 <= entry["score"] <= 1
        listed += len(about["instances"])
    assert listed == result.instances.instances > 0
    assert result.as_dict()["instances"]["made"] == 4


def test_the_stage_is_recorded_with_what_it_was_made_from(told_apart):
    _, path, _ = told_apart
    stages = Run.open(path).manifest.stages
    entry = stages["instances"]
    assert entry.state == "done"
    assert entry.inputs["make-masks"] == stages["make-masks"].fingerprint
    assert entry.inputs["irn"] == stages["train-irn"].outputs["irn"].sha256
    assert entry.outputs["maps"].count == entry.outputs["lists"].count == 4
    assert stages["train-irn"].settings["instances"] is True


def test_a_repeated_command_keeps_maps_and_makes_those_that_are_missing(run_copy):
    data, path = run_copy
    before = times(path, *FOLDERS, "instances")
    (path / "instances" / "img_001.png").unlink()

    result = make(data, path, instances=True, overwrite=False)

    assert (result.instances.made, result.instances.kept) == (1, 3)
    after = times(path, *FOLDERS, "instances")
    assert {n: t for n, t in after.items() if "img_001" not in n} == {
        n: t for n, t in before.items() if "img_001" not in n
    }


def test_maps_of_other_settings_are_refused_or_moved_and_the_rest_is_kept(run_copy):
    data, path = run_copy
    before = times(path, *FOLDERS)
    with pytest.raises(RunError, match=r"centroid_radius 2\.5 → 9"):
        make(data, path, instances=True, centroid_radius=9, overwrite=False)

    result = make(data, path, instances=True, centroid_radius=9)

    assert result.instances.moved == path / "instances.old-1"
    assert len(list((path / "instances").glob("*.png"))) == 4
    assert times(path, *FOLDERS) == before


def test_another_rate_trains_anew(run_copy):
    data, path = run_copy
    before = read_state(path / "irn" / "irn.safetensors")
    result = make(data, path, instances=True, displacement_lr=0.5)
    after = read_state(path / "irn" / "irn.safetensors")
    assert result.instances.moved is not None
    changed = {name for name in before if not np.array_equal(before[name].numpy(), after[name].numpy())}
    assert changed
    assert all(name.startswith("displacement.") for name in changed)


def test_an_image_without_label_has_an_empty_map(run_copy):
    data, path = run_copy
    seed = read_seed(path / "seeds" / "img_002.npz")
    put_seed(path, "img_002", Seed(seed.classes[:0], seed.maps[:0], seed.size))

    make(data, path, instances=True, walk_beta=4)

    assert not read_mask(path / "instances" / "img_002.png").any()
    assert json.loads((path / "instances" / "img_002.json").read_text())["instances"] == []


@pytest.mark.parametrize("refine", ["crf", "none", "psa"])
def test_without_the_walk_of_irn_there_are_no_instances(plain, refine):
    data, path = plain
    with pytest.raises(UsageError, match=f"--instances needs the random walk of IRN, but --refine is {refine}"):
        make(data, path, refine=refine, instances=True)


def test_weights_without_the_branch_are_refused_and_with_it_serve(plain, told_apart, run_copy):
    data, path = run_copy
    weights = plain[1] / "irn" / "irn.safetensors"
    with pytest.raises(DataError, match=r"irn\.safetensors: a boundary network without a displacement branch"):
        make(data, path, instances=True, irn_weights=str(weights))

    before = {p.name: p.read_bytes() for p in (path / "instances").glob("*.png")}
    make(data, path, instances=True, irn_weights=str(told_apart[1] / "irn" / "irn.safetensors"))
    assert {p.name: p.read_bytes() for p in (path / "instances").glob("*.png")} == before
