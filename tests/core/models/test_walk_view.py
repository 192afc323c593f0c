"""The mask of one photograph is the one that make-masks made of it, whatever the walk."""

from __future__ import annotations

import shutil

import pytest
import torch

from recam_cli.core.cams.store import read_seed
from recam_cli.core.data.custom import open_custom
from recam_cli.core.data.images import read_image, read_mask
from recam_cli.core.errors import RunError
from recam_cli.core.models.walk_view import walked_mask
from recam_cli.core.reporter import SilentReporter
from recam_cli.core.runs.run import Run
from recam_cli.core.settings.make_masks import MakeMasksSettings
from recam_cli.core.settings.resolve import resolve
from recam_cli.stages import make_masks
from tests.helpers.tiny_run import make_run

SMALL = {"irn_epochs": 1, "irn_batch_size": 2, "irn_crop": 32, "irn_radius": 3, "psa_epochs": 1, "psa_crop": 32}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    root = tmp_path_factory.mktemp("view")
    return make_run(root).path, root / "data"


def make(trained, **flags):
    path, data = trained
    common = {"dataset": "custom", "data_root": str(data), "device": "cpu", "precision": "fp32", "workers": 0}
    resolved = resolve(MakeMasksSettings, flags=common | SMALL | {"overwrite": True} | flags)
    make_masks.run(resolved, Run.open(path), SilentReporter())
    return Run.open(path)


def view(run):
    return walked_mask(run, "", torch.device("cpu"), "fp32")


@pytest.mark.parametrize(
    "flags",
    [
        {"refine": "irn+crf"},
        {"refine": "irn", "walk_sources": "labels", "walk_scale": 2.0, "confident_bg": 0.1, "confident_fg": 0.6},
        {"refine": "irn", "self_epochs": 1, "self_weight": 0.5},
        {"refine": "psa"},
        pytest.param({"refine": "psa+crf", "walk_sources": "labels"}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_it_is_the_mask_that_make_masks_made(trained, flags):
    run = make(trained, **flags)
    look = view(run)
    differing = pixels = objects = 0
    for sample in open_custom(trained[1], "train"):
        found = look(read_image(sample.image), read_seed(run.path / "seeds" / f"{sample.id}.npz"))
        mask = read_mask(run.path / "masks" / f"{sample.id}.png")
        differing, pixels = differing + int((found != mask).sum()), pixels + mask.size
        objects += int((mask > 0).sum())
    # make-masks stores what walked in half precision: a score may fall on the other side of the threshold.
    assert differing <= 0.01 * pixels
    assert objects > 0


def test_masks_made_without_a_walk_have_none(trained):
    assert view(make(trained, refine="crf")) is None


def test_a_network_that_is_gone_is_named(trained, tmp_path):
    run = make(trained, refine="irn")
    shutil.copytree(run.path, tmp_path / "run")
    (tmp_path / "run" / "irn" / "irn.safetensors").unlink()
    with pytest.raises(RunError, match=r"irn\.safetensors: the boundary network of the run's masks is missing"):
        view(Run.open(tmp_path / "run"))


def test_a_segmenter_of_self_training_that_is_gone_or_another_is_named(trained, tmp_path):
    run = make(trained, refine="irn", self_epochs=1)
    shutil.copytree(run.path, tmp_path / "run")
    weights = tmp_path / "run" / "self" / "self.safetensors"
    weights.write_bytes(b"another")
    with pytest.raises(RunError, match=r"self\.safetensors has changed since train-self wrote it"):
        view(Run.open(tmp_path / "run"))
    weights.unlink()
    with pytest.raises(RunError, match=r"self\.safetensors is missing"):
        view(Run.open(tmp_path / "run"))
