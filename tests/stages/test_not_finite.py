"""Numbers that are not finite end a stage with the image's id; what was made before stays, nothing of that image."""

from __future__ import annotations

import math
import re
import shutil

import numpy as np
import pytest
import safetensors.torch
import torch

from recam_cli.core.affinity import spread
from recam_cli.core.cams.store import Seed, read_seed, write_seed
from recam_cli.core.data.images import read_mask
from recam_cli.core.data.registry import open_dataset
from recam_cli.core.errors import DataError, ExitCode, NotFiniteError
from recam_cli.core.masks import crf
from recam_cli.core.models import checkpoint
from recam_cli.core.models.classifier import Classifier
from recam_cli.core.models.scoring import score_images
from recam_cli.core.models.segmenters import Segmenter
from recam_cli.core.reporter import SilentReporter
from recam_cli.core.runs.run import Run
from recam_cli.core.settings.groups import DataSettings
from recam_cli.core.settings.make_masks import MakeMasksSettings
from recam_cli.core.settings.make_seeds import MakeSeedsSettings
from recam_cli.core.settings.predict import PredictSettings
from recam_cli.core.settings.resolve import resolve
from recam_cli.core.settings.train_seg import TrainSegSettings
from recam_cli.stages import make_masks, make_seeds, predict, random_walk, train_seg
from tests.helpers.tiny_run import make_run
from tests.helpers.walk_run import walk

CPU = {"device": "cpu", "precision": "fp32", "workers": 0}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    root = tmp_path_factory.mktemp("whole")
    make_run(root)
    return root


@pytest.fixture
def root(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "root")


def ids(root, split="train"):
    return [s.id for s in open_dataset(DataSettings(dataset="custom", data_root=root / "data"), split)]


def poison(monkeypatch, owner, name, at, value=math.nan):
    """Let the result of the `at`-th call of a function hold `value`."""
    real, calls = getattr(owner, name), 0

    def poisoned(*arguments, **options):
        nonlocal calls
        calls += 1
        found = real(*arguments, **options)
        if calls == at:
            found = found.clone()
            found[(-1,) * found.ndim] = value
        return found

    monkeypatch.setattr(owner, name, poisoned)


def ends_at(name, error):
    assert error.exit_code == ExitCode.CHECK_FAILED
    assert re.search(rf"\b{name}\b", str(error)), str(error)
    assert "NaN or infinite" in str(error) or "not finite" in str(error)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_make_seeds_stops_at_the_image_and_keeps_those_before(root, monkeypatch, value):
    shutil.rmtree(root / "run" / "seeds")
    poison(monkeypatch, make_seeds, "normalised_maps", 3, value)
    flags = {"dataset": "custom", "data_root": root / "data", "scales": "1", "batch_size": 1, **CPU}
    with pytest.raises(NotFiniteError) as caught:
        make_seeds.run(resolve(MakeSeedsSettings, flags=flags), Run.open(root / "run"), SilentReporter())
    names = ids(root)
    ends_at(names[2], caught.value)
    assert sorted(p.stem for p in (root / "run" / "seeds").glob("*.npz")) == sorted(names[:2])
    assert all(read_seed(root / "run" / "seeds" / f"{name}.npz") for name in names[:2])
    assert Run.open(root / "run").manifest.stages["make-seeds"].state == "failed"


def test_features_that_overflow_end_make_seeds_where_the_weights_are_finite(root, monkeypatch):
    shutil.rmtree(root / "run" / "seeds")
    real = Classifier.seed_weights
    monkeypatch.setattr(Classifier, "seed_weights", lambda self, kind: real(self, kind).abs() + 3e38)
    flags = {"dataset": "custom", "data_root": root / "data", "scales": "1", **CPU, "precision": "bf16"}
    with pytest.raises(NotFiniteError, match="class map of this image holds NaN"):
        make_seeds.run(resolve(MakeSeedsSettings, flags=flags), Run.open(root / "run"), SilentReporter())
    assert not list((root / "run" / "seeds").glob("*.npz"))


def test_the_walk_stops_at_the_image_and_keeps_those_before(root, monkeypatch):
    real, calls = spread.spread_seeds, 0

    def poisoned(*arguments, **options):
        nonlocal calls
        calls += 1
        found = real(*arguments, **options)
        if calls == 3:
            found[0].maps[:] = np.nan
        return found

    monkeypatch.setattr(random_walk, "spread_seeds", poisoned)
    with pytest.raises(NotFiniteError) as caught:
        walk(root / "data", root / "run", "irn", walk_batch_size=1)
    names = ids(root)
    ends_at(names[2], caught.value)
    assert sorted(p.stem for p in (root / "run" / "walked").glob("*.npz")) == sorted(names[:2])


def test_a_seed_that_is_not_finite_is_never_written(tmp_path):
    seed = Seed(np.array([0]), np.array([[[0.5, np.inf]]], np.float32), (4, 8))
    with pytest.raises(NotFiniteError, match="photo: a class map"):
        write_seed(tmp_path / "photo.npz", seed)
    assert not list(tmp_path.iterdir())


def test_the_dense_crf_stops_at_the_image(root, monkeypatch):
    shutil.rmtree(root / "run" / "masks")
    real, calls = crf._native, 0

    def poisoned(image, labels, parameters):
        infer = real(image, labels, parameters)

        def with_nan(unaries):
            nonlocal calls
            calls += 1
            found = infer(unaries)
            if calls == 3:
                found[0][0, 0, 0] = np.nan
            return found

        return with_nan if image.size > 3 else infer  # a single pixel is only tried

    monkeypatch.setitem(crf.BACKENDS, "native", poisoned)
    flags = {"dataset": "custom", "data_root": root / "data", "refine": "crf", "threshold": "0.3", **CPU}
    with pytest.raises(NotFiniteError) as caught:
        make_masks.run(resolve(MakeMasksSettings, flags=flags), Run.open(root / "run"), SilentReporter())
    names = ids(root)
    ends_at(names[2], caught.value)
    for folder in ("masks", "confidence"):
        kept = {p.stem for p in (root / "run" / folder).glob("*.png") if p.stem != "index"}
        assert names[2] not in kept or folder == "confidence"
    assert sorted(p.stem for p in (root / "run" / "masks").glob("*.png")) == sorted(names[:2])


@pytest.fixture(scope="module")
def segmented(whole):
    flags = {"dataset": "custom", "data_root": whole / "data", "epochs": 1, "batch_size": 2, "crop": 32}
    flags |= {"network": "lraspp", "stride": "16", "init": "none", "flip": False, "predict_batch_size": 1, **CPU}
    resolved = resolve(TrainSegSettings, flags=flags)
    train_seg.run(resolved, Run.open(whole / "run"), SilentReporter())
    return resolved


def test_train_seg_stops_predicting_at_the_image(segmented, root, monkeypatch):
    names, run = ids(root, "val"), Run.open(root / "run")
    folder = root / "run" / "predictions" / "val"
    for path in folder.glob("*.png"):
        path.unlink()
    poison(monkeypatch, Segmenter, "logits", len(names) + 2)  # two measure
    with pytest.raises(NotFiniteError) as caught:
        train_seg.run(segmented, run, SilentReporter())
    ends_at(names[-1], caught.value)
    assert sorted(p.stem for p in folder.glob("*.png")) == sorted(names[:-1])


def test_predict_stops_at_the_photograph_and_keeps_masks_before(segmented, root, tmp_path, monkeypatch):
    photos = sorted((root / "data" / "JPEGImages").iterdir())
    poison(monkeypatch, Segmenter, "logits", 5, math.inf)  # two measure
    flags = {"flip": False, "out": tmp_path / "masks", **CPU}
    with pytest.raises(NotFiniteError) as caught:
        predict.run(resolve(PredictSettings, flags=flags), Run.open(root / "run"), SilentReporter(), [photos[0].parent])
    ends_at(photos[2].stem, caught.value)
    made = sorted((tmp_path / "masks").glob("*.png"))
    assert [p.stem for p in made] == [p.stem for p in photos[:2]]
    assert all(read_mask(p).size for p in made)


def test_average_precision_of_scores_that_are_nan_is_refused_with_the_image(root):
    images = open_dataset(DataSettings(dataset="custom", data_root=root / "data"), "val")

    class Nan(torch.nn.Module):
        fc1 = torch.nn.Linear(1, 1)

        def forward(self, batch):
            return torch.full((len(batch), len(images.classes)), math.nan)

    with SilentReporter().track("", 1) as progress, pytest.raises(NotFiniteError, match=images.samples[0].id):
        score_images(Nan(), images, progress, batch_size=1, max_pixels=10**6, workers=0)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("kind", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_weights_that_are_not_finite_are_refused_by_the_tensors_name(tmp_path, value, kind):
    state = {"a": torch.ones(4), "empty": torch.ones(0), "n": torch.tensor(3), "b.weight": torch.ones(5, 3, dtype=kind)}
    path = tmp_path / "w.safetensors"
    safetensors.torch.save_file(state, path)
    assert set(checkpoint.read_state(path)) == set(state)
    state["b.weight"][2, 1] = value
    safetensors.torch.save_file(state, path)
    with pytest.raises(DataError, match=r"its tensor b\.weight holds NaN or infinite values") as caught:
        checkpoint.read_state(path)
    assert caught.value.exit_code == ExitCode.BAD_DATA


def test_the_largest_numbers_are_no_fault_of_weights(tmp_path):
    largest = torch.finfo(torch.float32).max
    safetensors.torch.save_file({"a": torch.tensor([largest, largest, -1.0])}, tmp_path / "w.safetensors")
    assert float(checkpoint.read_state(tmp_path / "w.safetensors")["a"][0]) == largest


def test_a_classifier_that_is_not_finite_ends_make_seeds_with_exit_code_3(root):
    path = root / "run" / "classifier" / "recam.safetensors"
    about, state = checkpoint.read_about(path), checkpoint.read_state(path)
    state["fc2.weight"][0, 0] = math.nan
    path.write_bytes(checkpoint.packed(state, about))
    run = Run.open(root / "run")
    run.manifest.stages["train-cls"].outputs["recam"] = run.output_of_file(path)
    flags = {"dataset": "custom", "data_root": root / "data", "scales": "1", **CPU}
    with pytest.raises(DataError, match=r"fc2\.weight"):
        make_seeds.run(resolve(MakeSeedsSettings, flags=flags), run, SilentReporter())
