"""make-seeds: one seed per image, resumable, never mixed."""

from __future__ import annotations

import numpy as np
import pytest

from recam_cli.core.cams.store import read_seed
from recam_cli.core.data.custom import open_custom
from recam_cli.core.data.images import read_size
from recam_cli.core.errors import RunError
from recam_cli.core.reporter import SilentReporter
from recam_cli.core.runs.run import Run
from recam_cli.core.settings.make_seeds import MakeSeedsSettings
from recam_cli.core.settings.resolve import resolve
from recam_cli.stages import make_seeds
from tests.helpers.tiny_data import make_custom
from tests.helpers.tiny_run import make_run


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path, masks=False)


def _make(run, **flags):
    data = {"dataset": "custom", "data_root": run.path.parent / "data"}
    data |= {"workers": 0, "device": "cpu", "scales": "1,0.5"}
    return make_seeds.run(resolve(MakeSeedsSettings, flags={**data, **flags}), run, SilentReporter())


def test_every_image_gets_a_seed_of_its_labels_and_size(run):
    result = _make(run)
    images = open_custom(run.path.parent / "data", "train")
    assert (result.images, result.made, result.kept) == (len(images), len(images), 0)
    for sample in images:
        seed = read_seed(run.path / "seeds" / f"{sample.id}.npz")
        assert tuple(seed.classes) == sample.labels
        assert seed.size == read_size(sample.image)
        assert seed.maps.min() >= 0 and seed.maps.max() <= 1
    entry = Run.open(run.path).require("make-seeds")
    assert entry.outputs["seeds"].count == len(images)
    assert entry.metrics["bytes_per_image"] == result.bytes_per_image > 0
    assert entry.notes["method"] == "recam" and entry.notes["seed_weights"] == "product"


def test_finished_seeds_are_kept_and_missing_ones_made_the_same(run):
    _make(run)
    files = sorted((run.path / "seeds").glob("*.npz"))
    before = {f: f.read_bytes() for f in files}
    files[0].unlink()
    result = _make(run, batch_size=1)  # hardware settings do not matter
    assert (result.made, result.kept) == (1, len(files) - 1)
    with np.load(files[0]) as again:
        assert again["maps"].shape == np.load(files[0])["maps"].shape
    assert all(f.read_bytes() == before[f] for f in files[1:])


def test_seeds_of_other_settings_are_refused_and_moved_aside_on_request(run):
    _make(run)
    with pytest.raises(RunError, match="seed_weights product → fc1"):
        _make(run, seed_weights="fc1")
    assert Run.open(run.path).require("make-seeds").notes["seed_weights"] == "product"
    result = _make(run, seed_weights="fc1", overwrite=True)
    assert result.moved is not None and any(result.moved.glob("*.npz"))


def test_plain_cam_of_a_recam_run_lies_beside(run):
    _make(run)
    result = _make(run, method="cam")
    assert result.folder.name == "seeds-cam"
    assert result.seed_weights == "fc1"
    assert Run.open(run.path).require("make-seeds-cam").notes["method"] == "cam"


def test_batching_equal_sizes_changes_nothing_but_rounding(run):
    _make(run)
    together = {f.name: read_seed(f).maps for f in (run.path / "seeds").glob("*.npz")}
    _make(run, overwrite=True, batch_size=1, flip=True, scales="1,0.5")
    for name, maps in together.items():
        np.testing.assert_allclose(read_seed(run.path / "seeds" / name).maps, maps, atol=2e-3)


def test_a_data_set_of_other_classes_is_refused(run, tmp_path):
    other = make_custom(tmp_path / "other", classes=("a", "b"))
    with pytest.raises(RunError, match="classes"):
        _make(run, data_root=other)
