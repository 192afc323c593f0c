"""train-cls: two phases, recorded, repeatable, and stopped by what cannot be trained on."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from recam_cli.core.errors import DataError, ExitCode, RunError, TrainingError, UsageError
from recam_cli.core.models.classifier_files import classifier_path, load_classifier, run_classifier
from recam_cli.core.reporter import SilentReporter
from recam_cli.core.runs.run import Run
from recam_cli.core.settings.resolve import resolve
from recam_cli.core.settings.train_cls import TrainClsSettings
from recam_cli.stages import classifier_phases, train_cls
from tests.helpers.tiny_data import make_custom

TINY = {
    "dataset": "custom",
    "backbone": "mobilenet_v2",
    "weights": "none",
    "epochs": 1,
    "recam_epochs": 1,
    "batch_size": 2,
    "recam_batch_size": 2,
    "crop": 32,
    "long_side": "32,48",
    "lr": 0.01,
    "lr_fc1": 0.01,
    "workers": 0,
    "device": "cpu",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_custom(tmp_path_factory.mktemp("data"))


def _train(data, path, **changes):
    flags = {**TINY, "data_root": data, **changes}
    return train_cls.run(resolve(TrainClsSettings, flags=flags), path, SilentReporter())


def _weights(path):
    return load_classifier(path, torch.device("cpu"))[0].state_dict()


def test_both_phases_are_written_measured_and_recorded(data, tmp_path):
    result = _train(data, tmp_path / "run")
    run = Run.open(tmp_path / "run")
    entry = run.require("train-cls")
    assert set(entry.outputs) == {"cam", "recam"}
    assert set(result.losses) == {"bce", "sce"}
    assert result.as_dict()["map"] == entry.metrics["map"]
    lines = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    assert [line["phase"] for line in lines if "loss" in line] == ["CAM", "ReCAM"]
    classifier, classes, _ = run_classifier(run, "recam", torch.device("cpu"))
    assert list(classes) == entry.notes["classes"]
    assert classifier.fc1.weight.shape == classifier.fc2.weight.shape == (len(classes), 1280)


def test_phase_two_changes_both_heads_and_phase_one_leaves_fc2(data, tmp_path):
    _train(data, tmp_path / "run", recam_lr=1e-3, recam_lr_fc1=1e-3, recam_lr_fc2=1e-2)
    cam, recam = (_weights(tmp_path / "run" / "classifier" / f"{m}.safetensors") for m in ("cam", "recam"))
    assert not torch.equal(cam["fc1.weight"], recam["fc1.weight"])
    assert not torch.equal(cam["fc2.weight"], recam["fc2.weight"])


def test_method_cam_stops_after_phase_one(data, tmp_path):
    _train(data, tmp_path / "run", method="cam")
    run = Run.open(tmp_path / "run")
    assert set(run.require("train-cls").outputs) == {"cam"}
    with pytest.raises(RunError, match="method cam"):
        run_classifier(run, "recam", torch.device("cpu"))


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(data, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        _train(data, tmp_path / name, seed=seed, method="cam")
    a, b, c = (_weights(tmp_path / n / "classifier" / "cam.safetensors") for n in "abc")
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert not all(torch.equal(a[k], c[k]) for k in a)


def test_with_bce_on_the_head_only_phase_one_leaves_the_backbone(data, tmp_path):
    _train(data, tmp_path / "run", method="cam", bce_trains="head", weight_decay=0.0)
    trained = _weights(tmp_path / "run" / "classifier" / "cam.safetensors")
    _train(data, tmp_path / "none", method="cam", epochs=0)
    start = _weights(tmp_path / "none" / "classifier" / "cam.safetensors")
    convolutions = [k for k in start if k.startswith("backbone") and "running" not in k and "num_batches" not in k]
    assert all(torch.equal(start[k], trained[k]) for k in convolutions)
    assert not torch.equal(start["fc1.weight"], trained["fc1.weight"])


def test_pretrained_statistics_stay_and_those_from_nothing_move(data, tmp_path):
    from recam_cli.core.models.torchvision_gate import torchvision

    model = torchvision().models.mobilenet_v2(weights=None)
    save_file(model.state_dict(), tmp_path / "mobilenet_v2.safetensors")
    _train(data, tmp_path / "frozen", method="cam", weights=str(tmp_path / "mobilenet_v2.safetensors"))
    frozen = _weights(tmp_path / "frozen" / "classifier" / "cam.safetensors")
    running = [k for k in frozen if "running_mean" in k]
    assert all(float(frozen[k].abs().max()) == 0 for k in running)
    _train(data, tmp_path / "moving", method="cam")
    moving = _weights(tmp_path / "moving" / "classifier" / "cam.safetensors")
    assert any(float(moving[k].abs().max()) > 0 for k in running)


def test_a_loss_that_is_not_finite_names_step_and_images(data, tmp_path):
    with pytest.raises(TrainingError, match=r"epoch 1, step \d+, at images") as caught:
        _train(data, tmp_path / "run", lr=1e30, lr_fc1=1e30, epochs=3)
    assert caught.value.exit_code == ExitCode.CHECK_FAILED
    assert Run.open(tmp_path / "run").manifest.stages["train-cls"].state == "failed"


def test_nothing_is_written_when_the_data_or_weights_cannot_be_used(data, tmp_path):
    broken = make_custom(tmp_path / "broken")
    next((broken / "JPEGImages").iterdir()).write_bytes(b"no image")
    with pytest.raises(DataError, match="JPEGImages"):
        _train(broken, tmp_path / "run")
    with pytest.raises(UsageError, match="neither a file"):
        _train(data, tmp_path / "run", weights="nowhere.pth")
    (tmp_path / "w.safetensors").write_bytes(b"no weights")
    with pytest.raises(DataError, match="damaged"):
        _train(data, tmp_path / "run", weights=str(tmp_path / "w.safetensors"))
    save_file({"conv1.weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(DataError, match="not weights of mobilenet_v2"):
        _train(data, tmp_path / "run", weights=str(tmp_path / "other.safetensors"))
    assert not (tmp_path / "run").exists()


def test_a_torch_file_is_not_read(data, tmp_path):
    torch.save({}, tmp_path / "w.pth")
    with pytest.raises(DataError, match=r"recam import-weights .*w\.pth --backbone mobilenet_v2"):
        _train(data, tmp_path / "run", weights=str(tmp_path / "w.pth"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("loss", ["ce", "bce"])
def test_the_ablation_losses_train(data, tmp_path, loss):
    result = _train(data, tmp_path / "run", loss=loss)
    assert np.isfinite(list(result.losses.values())).all()


def test_a_changed_classifier_file_is_noticed(data, tmp_path):
    _train(data, tmp_path / "run", method="cam")
    run = Run.open(tmp_path / "run")
    path = classifier_path(run, "cam")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(RunError, match="has changed"):
        run_classifier(run, "cam", torch.device("cpu"))


def test_a_broken_held_out_image_is_found_before_any_training(tmp_path):
    data = make_custom(tmp_path / "data")
    (data / "JPEGImages" / "img_005.jpg").write_bytes(b"nothing")
    with pytest.raises(DataError, match="img_005"):
        _train(data, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    _train(data, tmp_path / "run", val_split="none")


def test_the_weights_of_the_last_finished_epoch_outlive_a_diverged_training(data, tmp_path, monkeypatch):
    bce, calls = classifier_phases._bce, []

    def diverging(*arguments):
        calls.append(1)
        return bce(*arguments) * (
            float("nan") if len(calls) == 6 else 1
        )  # two measure; then the second epoch of two steps

    monkeypatch.setattr(classifier_phases, "_bce", diverging)
    with pytest.raises(TrainingError, match="epoch 2"):
        _train(data, tmp_path / "run", epochs=3)
    kept = tmp_path / "run" / "classifier" / "unfinished.safetensors"
    assert all(torch.isfinite(value).all() for value in _weights(kept).values())

    _train(data, tmp_path / "run", epochs=1)  # the same run, begun anew

    assert Run.open(tmp_path / "run").require("train-cls")
    assert not kept.exists()
    assert (tmp_path / "run" / "unfinished-1" / "classifier" / "unfinished.safetensors").is_file()


def test_select_best_ends_each_phase_with_the_epoch_of_the_highest_map(data, tmp_path):
    _train(data, tmp_path / "run", epochs=3, recam_epochs=2, lr=0.1, select="best")
    run = Run.open(tmp_path / "run")
    metrics = run.require("train-cls").metrics
    lines = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    for phase, method in (("CAM", "cam"), ("ReCAM", "recam")):
        scores = [line["epoch_map"] for line in lines if line["phase"] == phase and "loss" in line]
        assert metrics[f"{method}_epoch"] == 1 + scores.index(max(scores))
        assert metrics[f"{method}_map"] == max(scores)
    assert not (run.path / "classifier" / "snapshots").exists()


def test_select_best_without_held_out_images_is_refused_before_anything_is_written(data, tmp_path):
    with pytest.raises(UsageError, match="--select best needs held-out images"):
        _train(data, tmp_path / "run", select="best", val_split="none")
    assert not (tmp_path / "run").exists()
