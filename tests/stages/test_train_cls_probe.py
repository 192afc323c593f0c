"""train-cls from a probe: convex and so repeatable, honest about what was not learned, and never worse afterwards."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from recam_cli.core.data.custom import open_custom
from recam_cli.core.data.images import write_image
from recam_cli.core.models.backbones import head_of
from recam_cli.core.models.classifier_files import load_classifier
from recam_cli.core.models.weights import find_weights
from recam_cli.core.reporter import SilentReporter
from recam_cli.core.runs.run import Run
from recam_cli.core.settings.resolve import resolve
from recam_cli.core.settings.train_cls import TrainClsSettings
from recam_cli.core.training.pooled import Looks, pooled_views
from recam_cli.core.training.prior import object_row
from recam_cli.core.training.probe import choose_ridge, fit_rows, fold_of
from recam_cli.stages import classifier_phases, train_cls
from tests.helpers.tiny_data import draw_photo, make_custom
from tests.stages.test_train_cls import TINY

PROBE = {**TINY, "backbone": "efficientnet_lite0", "weights": "imagenet", "precision": "fp32"}
PROBE |= {"start": "probe", "probe_sides": "48"}
ONLY = {"epochs": 0, "recam_epochs": 0}


class Told(SilentReporter):
    """Keeps what it is told."""

    def __init__(self):
        super().__init__()
        self.told = []

    def info(self, message):
        self.told.append(message)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_custom(tmp_path_factory.mktemp("data"), 36)


def _train(data, path, **changes):
    reporter = Told()
    flags = {**PROBE, "data_root": data, **changes}
    result = train_cls.run(resolve(TrainClsSettings, flags=flags), path, reporter)
    return result, reporter


def _state(path, method="cam"):
    return load_classifier(path / "classifier" / f"{method}.safetensors", torch.device("cpu"))[0].state_dict()


def _metrics(path):
    return Run.open(path).require("train-cls").metrics


@pytest.fixture(scope="module")
def fitted(data, tmp_path_factory):
    """Give the run of a probe alone."""
    path = tmp_path_factory.mktemp("fitted") / "run"
    _train(data, path, **ONLY)
    return path


def _views(data, path):
    classifier = load_classifier(path / "classifier" / "cam.safetensors", torch.device("cpu"))[0]
    images = open_custom(data, "train")
    with SilentReporter().track("", len(images)) as progress:
        return pooled_views(classifier, images, Looks((48,), "fp32", 10**7, 0), progress)


def test_without_epochs_fc1_is_the_fitted_rows(data, fitted):
    views = _views(data, fitted)
    choice = choose_ridge(views, fold_of(views.targets, np.arange(len(views.targets))))
    assert _metrics(fitted)["ridge"] == choice.ridge
    rows = fit_rows(views, choice.ridge)
    torch.testing.assert_close(_state(fitted)["fc1.weight"], rows, rtol=1e-3, atol=1e-3)
    assert torch.equal(_state(fitted, "recam")["fc1.weight"], _state(fitted)["fc1.weight"])


def test_a_probe_does_not_depend_on_the_seed(data, fitted, tmp_path):
    _train(data, tmp_path / "run", **ONLY, seed=7)
    for method in ("cam", "recam"):
        ours, others = _state(fitted, method), _state(tmp_path / "run", method)
        fitted_by_then = [name for name in others if method == "recam" or not name.startswith("fc2")]
        assert all(torch.equal(ours[name], others[name]) for name in fitted_by_then)


def test_coloured_rectangles_are_learned(fitted):
    metrics = _metrics(fitted)
    assert {one["verdict"] for one in metrics["learned"].values()} == {"learned"}
    assert metrics["probe_map"] == metrics["cam_map"] == metrics["map"] > 90


def _relabelled(root, labels, classes):
    make_custom(root, len(labels), classes=("cat",))
    rows = [f"img_{i:03d},{label}" for i, label in enumerate(labels)]
    (root / "labels.csv").write_text("\n".join(["image,labels", *rows]) + "\n")
    (root / "classes.txt").write_text("\n".join(classes) + "\n")
    return root


def test_one_class_in_every_photograph_is_warned_of_and_gets_the_prior(tmp_path):
    data = make_custom(tmp_path / "data", 9, classes=("cat",))
    result, reporter = _train(data, tmp_path / "run", **ONLY)
    told = "\n".join(reporter.warnings)
    assert "every photograph shows cat" in told and "plain CAM" in told and "too few photographs" in told
    assert set(Run.open(tmp_path / "run").require("train-cls").outputs) == {"cam"}
    assert result.learned["cat"]["verdict"] == "too few"
    head = head_of("efficientnet_lite0", find_weights("efficientnet_lite0", "imagenet").state)
    row = object_row(_views(data, tmp_path / "run").features, head)
    torch.testing.assert_close(_state(tmp_path / "run")["fc1.weight"], row[None], rtol=1e-4, atol=1e-5)


def test_one_class_and_photographs_without_it_are_learned(tmp_path):
    data = _relabelled(tmp_path / "data", ["cat" if i % 2 else "" for i in range(24)], ("cat",))
    for i in range(0, 24, 2):
        write_image(data / "JPEGImages" / f"img_{i:03d}.jpg", draw_photo((), seed=100 + i)[0])
    result, reporter = _train(data, tmp_path / "run", **ONLY)
    assert result.learned["cat"]["verdict"] == "learned"
    assert not [text for text in reporter.warnings if "every photograph" in text or "not learned" in text]
    assert set(Run.open(tmp_path / "run").require("train-cls").outputs) == {"cam"}


def test_labels_that_say_nothing_of_the_photographs_are_told(tmp_path):
    rng = np.random.default_rng(0)
    labels = rng.permutation(["a", "b"] * 18)
    data = _relabelled(tmp_path / "data", labels, ("a", "b"))
    result, reporter = _train(data, tmp_path / "run", **ONLY, method="cam")
    assert {one["verdict"] for one in result.learned.values()} == {"not learned"}
    assert any(text.startswith("not learned: every class: a (AP ") for text in reporter.warnings)


@pytest.mark.parametrize("photographs", [1, 2])
def test_hardly_any_photographs_are_enough_to_go_on(tmp_path, photographs):
    splits = {"train": range(photographs), "val": range(photographs, 4)}
    data = make_custom(tmp_path / "data", 4, classes=("a", "b"), splits=splits)
    _train(data, tmp_path / "run", **ONLY)
    for method in ("cam", "recam"):
        assert all(torch.isfinite(value).all() for value in _state(tmp_path / "run", method).values())


def test_a_destructive_rate_leaves_what_the_probe_found_and_says_so(data, fitted, tmp_path):
    result, reporter = _train(data, tmp_path / "run", epochs=1, method="cam", lr=10, lr_fc1=10, select="safe")
    ours, probe = _state(tmp_path / "run"), _state(fitted)
    assert all(torch.equal(ours[name], value) for name, value in probe.items() if not name.startswith("fc2"))
    assert _metrics(tmp_path / "run")["cam_epoch"] == 0
    assert any("worse on held-out images than what it began with, which stays" in text for text in reporter.told)
    _train(data, tmp_path / "last", epochs=1, method="cam", lr=10, lr_fc1=10)
    assert _metrics(tmp_path / "last")["cam_map"] < result.mean_average_precision - 5  # which it would have cost


@pytest.mark.parametrize(("select", "depends"), [("last", False), ("best", True), ("safe", True)])
def test_held_out_photographs_are_an_input_where_weights_are_chosen_by_them(tmp_path, select, depends):
    data = make_custom(tmp_path / "data")
    _train(data, tmp_path / "run", **ONLY, select=select, method="cam")
    assert ("held-out data" in Run.open(tmp_path / "run").require("train-cls").inputs) is depends


def test_a_training_stopped_after_its_probe_goes_on_to_the_same_bits(tmp_path, monkeypatch):
    data = make_custom(tmp_path / "data", 9)
    flags = {"epochs": 2, "recam_epochs": 1, "batch_size": 3, "recam_batch_size": 6, "select": "safe"}
    flags["snapshot_every"] = 1e-6
    _train(data, tmp_path / "whole", **flags)
    bce, calls, probes = classifier_phases._bce, [], []

    def stopped(*arguments):
        calls.append(1)
        if len(calls) == 6:  # two measure; then in the second of two epochs of two steps
            raise KeyboardInterrupt
        return bce(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(classifier_phases, "_bce", stopped)
        with pytest.raises(KeyboardInterrupt):
            _train(data, tmp_path / "run", **flags)
    monkeypatch.setattr(classifier_phases, "pooled_views", lambda *_: probes.append(1))
    _, reporter = _train(data, tmp_path / "run", **flags, resume=True)
    assert "CAM: going on after epoch 1, step 3" in reporter.told
    assert probes == []  # it is not fitted again
    assert _metrics(tmp_path / "run") == _metrics(tmp_path / "whole")
    for method in ("cam", "recam"):
        ours, whole = (_state(tmp_path / name, method) for name in ("run", "whole"))
        assert all(torch.equal(ours[name], value) for name, value in whole.items())
