from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from recam_cli.core.data.images import read_image, read_mask, write_mask
from recam_cli.core.errors import DataError, RunError, TrainingError, UsageError
from recam_cli.core.models.checkpoint import read_about
from recam_cli.core.models.segment_inference import predict_image
from recam_cli.core.models.segmenter_files import load_segmenter
from recam_cli.core.reporter import SilentReporter
from recam_cli.core.runs.files import sha256_of
from recam_cli.core.runs.manifest import StageEntry
from recam_cli.core.runs.run import Run
from recam_cli.core.settings.resolve import resolve
from recam_cli.core.settings.train_seg import TrainSegSettings
from recam_cli.stages import train_seg
from tests.helpers.tiny_data import TINY_CLASSES, TINY_SIZE, make_custom
from tests.helpers.weights_files import random_weights

TRAIN, VAL = range(4), range(4, 6)
QUICK = {
    "dataset": "custom",
    "backbone": "mobilenet_v2",
    "network": "lraspp",
    "stride": "16",
    "init": "none",
    "epochs": 1,
    "batch_size": 2,
    "lr": 0.01,
    "crop": 32,
    "scale": (1.0, 1.0),
    "flip": False,
    "workers": 0,
    "device": "cpu",
    "precision": "fp32",
}


@pytest.fixture
def data(tmp_path):
    return make_custom(tmp_path / "data", 6, splits={"train": TRAIN, "val": VAL})


@pytest.fixture
def run(tmp_path, data):
    """A run with pseudo masks of the training images: the true ones, and for plain CAM all background."""
    run = Run.create(tmp_path / "run")
    settings = {"method": "recam", "dataset": "custom"}
    for stage in ("train-cls", "make-masks", "make-masks-cam"):
        run.manifest.stages[stage] = StageEntry(state="done", settings=settings, fingerprint=f"of {stage}")
    run.manifest.save(run.path)
    for i in TRAIN:
        truth = read_mask(data / "SegmentationClass" / f"img_{i:03d}.png")
        write_mask(run.path / "masks" / f"img_{i:03d}.png", truth)
        write_mask(run.path / "masks-cam" / f"img_{i:03d}.png", np.zeros_like(truth))
    return run


def train(run, data, reporter=None, **flags):
    resolved = resolve(TrainSegSettings, flags=QUICK | {"data_root": str(data)} | flags)
    return train_seg.run(resolved, run, reporter or SilentReporter())


def predictions(folder):
    return {p.stem: read_mask(p) for p in sorted(folder.glob("*.png"))}


def test_it_writes_the_network_its_record_and_the_held_out_predictions(run, data):
    result = train(run, data)

    assert result.weights == run.path / "segmenter" / "lraspp.safetensors"
    assert (result.trained, result.images, result.predicted, result.kept) == (True, 4, 2, 0)
    segmenter, classes = load_segmenter(result.weights, torch.device("cpu"))
    assert classes == TINY_CLASSES
    found = predictions(run.path / "predictions" / "val")
    assert list(found) == ["img_004", "img_005"]
    for name, mask in found.items():
        image = read_image(data / "JPEGImages" / f"{name}.jpg")
        assert mask.shape == TINY_SIZE
        assert np.mean(mask == predict_image(segmenter, image, flip=False)[0]) > 0.999
    entry = Run.open(run.path).require("train-seg")
    assert entry.inputs["make-masks"] == "of make-masks"
    assert entry.outputs["segmenter"].path == "segmenter/lraspp.safetensors"
    assert entry.outputs["predictions"].count == 2
    assert entry.metrics["loss"] == result.loss > 0
    assert not list((run.path / "segmenter").rglob("unfinished/*"))
    assert json.loads(json.dumps(result.as_dict()))["weights"] == str(result.weights)


@pytest.mark.parametrize(
    "flags",
    [
        {"network": "deeplabv2", "msc": True, "balanced": True, "accumulate": 2},
        {"network": "deeplabv2", "stride": "8"},
        {"network": "deeplabv3", "eval_scales": (1.0, 0.5), "flip": True, "epochs": 5, "lr": 0.003},
    ],
)
def test_every_network_learns_and_predicts(run, data, flags):
    schedule = {"epochs": 12, "lr": 0.005, "crop": 48}
    result = train(run, data, labels="truth", **{**schedule, **flags})
    losses = [line["loss"] for line in map(json.loads, (run.path / "metrics.jsonl").read_text().splitlines())]
    assert np.mean(losses[-3:]) < np.mean(losses[:3]), losses
    assert set(predictions(result.predictions)) == {f"img_{i:03d}" for i in VAL}


def test_every_epoch_is_logged(run, data):
    train(run, data, epochs=2)

    lines = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    assert [(line["stage"], line["epoch"]) for line in lines] == [("train-seg", 1), ("train-seg", 2)]


def test_the_same_seed_gives_the_same_bytes_whatever_the_number_of_workers(run, data, tmp_path):
    first = train(run, data, network="deeplabv3").weights.read_bytes()
    (run.path / "segmenter").rename(tmp_path / "first")

    again = train(run, data, network="deeplabv3", workers=1)

    assert again.trained
    assert again.weights.read_bytes() == first


def test_a_second_call_keeps_the_network_and_makes_missing_predictions(run, data):
    first = train(run, data)
    stamp = first.weights.stat().st_mtime_ns
    (run.path / "predictions" / "val" / "img_005.png").unlink()

    second = train(run, data)

    assert (second.trained, second.predicted, second.kept) == (False, 1, 1)
    assert second.weights.stat().st_mtime_ns == stamp
    assert second.loss == first.loss


def test_other_ways_to_predict_keep_the_network(run, data):
    first = train(run, data)

    with pytest.raises(RunError, match=r"predictions made with other settings: .*flip false → true"):
        train(run, data, flip=True)
    second = train(run, data, flip=True, eval_scales=(1.0, 0.5), overwrite=True)

    assert (second.trained, second.predicted, second.weights) == (False, 2, first.weights)
    assert (run.path / "predictions" / "val.old-1").is_dir()


def test_another_schedule_is_refused_and_with_overwrite_the_old_network_moved(run, data):
    train(run, data)
    before = Run.open(run.path).require("train-seg")

    with pytest.raises(RunError, match=r"other settings: .*batch_size 2 → 4"):
        train(run, data, batch_size=4)
    assert Run.open(run.path).require("train-seg") == before
    result = train(run, data, batch_size=4, overwrite=True)

    assert result.moved == run.path / "segmenter.old-1"
    assert (result.trained, result.predicted) == (True, 2)


def test_truth_and_plain_cam_have_their_own_places_in_one_run(run, data):
    train(run, data)
    cam = train(run, data, method="cam")
    truth = train(run, data, labels="truth")

    assert cam.weights.parent.name == "segmenter-cam"
    assert truth.weights.parent.name == "segmenter-truth"
    assert truth.predictions == run.path / "predictions-truth" / "val"
    manifest = Run.open(run.path).manifest
    assert manifest.stages["train-seg-cam"].inputs["make-masks-cam"] == "of make-masks-cam"
    assert "make-masks" not in manifest.stages["train-seg-truth"].inputs
    assert read_about(truth.weights)["labels"] == "truth"


def test_equal_masks_train_equal_networks_true_or_not(run, data):
    pseudo, truth = train(run, data), train(run, data, labels="truth")

    one, other = (load_segmenter(r.weights, torch.device("cpu"))[0] for r in (pseudo, truth))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_truth_needs_no_pseudo_masks_and_no_classifier(tmp_path, data):
    run = Run.create(tmp_path / "fresh")

    assert train(run, data, labels="truth").predicted == 2


def test_a_nan_names_the_batch_and_leaves_the_last_finished_epoch(run, data, monkeypatch):
    from recam_cli.core.training import segmenter_training

    calls = []

    def loss(maps, masks, **kinds):
        calls.append(1)
        return maps[0].sum() * (float("nan") if len(calls) == 6 else 0.0)  # two measure

    monkeypatch.setattr(segmenter_training, "segmentation_loss", loss)

    with pytest.raises(TrainingError, match=r"loss became nan in epoch 2, step 4, at images img_00\d, img_00\d"):
        train(run, data, epochs=3)

    about = read_about(run.path / "segmenter" / "unfinished" / "lraspp.safetensors")
    assert about["epochs"] == 1
    assert Run.open(run.path).manifest.stages["train-seg"].state == "failed"
    monkeypatch.undo()
    assert train(run, data, lr=0.001).trained  # a lower rate needs no --overwrite


def test_a_missing_mask_names_image_and_command(run, data):
    (run.path / "masks" / "img_002.png").unlink()

    with pytest.raises(RunError, match=r"no mask of image img_002 of split train\. Run: recam make-masks --run"):
        train(run, data)


def test_masks_that_were_never_made_name_the_command(run, data):
    del run.manifest.stages["make-masks"]

    with pytest.raises(RunError, match=r"Run: recam make-masks"):
        train(run, data)


def test_a_mask_of_another_size_is_refused_before_training(run, data):
    write_mask(run.path / "masks" / "img_001.png", np.zeros((8, 9), np.uint8))

    with pytest.raises(DataError, match=r"img_001\.png: 9×8 pixels, but its image has 48×40"):
        train(run, data)

    assert "train-seg" not in Run.open(run.path).manifest.stages


@pytest.mark.parametrize("undecided", [1, 4])
def test_masks_that_are_undecided_everywhere_do_no_harm(run, data, undecided):
    for i in range(undecided):
        write_mask(run.path / "masks" / f"img_{i:03d}.png", np.full(TINY_SIZE, 255, np.uint8))

    result = train(run, data, epochs=2, batch_size=1)

    assert np.isfinite(result.loss)
    assert result.loss == 0.0 if undecided == 4 else result.loss > 0.0


def test_a_mask_of_unknown_values_is_named(run, data):
    write_mask(run.path / "masks" / "img_001.png", np.full(TINY_SIZE, 9, np.uint8))

    with pytest.raises(DataError, match=r"img_001\.png: holds value 9, but the classes end at 3"):
        train(run, data, batch_size=4)


def test_truth_that_is_not_there_is_told(run, tmp_path):
    bare = make_custom(tmp_path / "bare", 6, masks=False)

    with pytest.raises(DataError, match="has no true mask"):
        train(run, bare, labels="truth")


def test_without_a_split_to_predict_it_says_so_and_trains(run, tmp_path):
    data = make_custom(tmp_path / "train_only", 6, splits={"train": TRAIN})
    reporter = SilentReporter()

    result = train(run, data, reporter)

    assert result.predictions is None
    assert result.predicted == 0
    assert any("no split val" in line for line in reporter.warnings)
    assert train(run, data, predict_split="none").trained is False


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"scale": (1.5, 0.5)}, "--scale: give two numbers"),
        ({"network": "deeplabv3", "batch_size": 1}, "at least 2 images"),
        ({"init": "no/such/file.pth"}, "neither a file nor"),
        ({"backbone": None}, "Give --backbone"),
    ],
)
def test_settings_that_cannot_work_are_usage_errors(run, data, flags, message):
    with pytest.raises(UsageError, match=message):
        train(run, data, **flags)


def test_a_segmenter_that_began_from_other_weights_is_not_taken_for_this_one(run, data, tmp_path):
    start = random_weights(tmp_path / "start.safetensors")
    train(run, data, init=str(start))
    before = sha256_of(start)
    assert Run.open(run.path).require("train-seg").inputs["weights"] == before
    assert not train(run, data, init=str(start)).trained

    state = load_file(start)
    state["features.0.0.weight"] += 1e-3
    save_file(state, start)
    changed = f"weights {before[:12]} → {sha256_of(start)[:12]}"
    with pytest.raises(RunError, match=rf"made with other settings: {changed}\."):
        train(run, data, init=str(start))
    assert train(run, data, init=str(start), overwrite=True).trained


def test_masks_older_than_the_seeds_are_warned_of(run, data):
    run.manifest.stages["make-masks"].inputs["make-seeds"] = "of earlier seeds"
    run.manifest.stages["make-seeds"] = StageEntry(state="done", fingerprint="of make-seeds")
    run.manifest.save(run.path)
    reporter = SilentReporter()
    train(run, data, reporter)
    assert any("before make-seeds was done anew" in warning for warning in reporter.warnings)


def test_it_notes_whether_the_predicted_images_have_true_masks(run, data):
    train(run, data)
    assert Run.open(run.path).require("train-seg").notes["scorable"] is True
    (data / "SegmentationClass" / "img_005.png").unlink()
    train(run, data)
    assert Run.open(run.path).require("train-seg").notes["scorable"] is False


def test_pseudo_masks_of_other_classes_are_refused(run, data):
    run.manifest.stages["train-cls"].notes["classes"] = list(reversed(TINY_CLASSES))
    run.manifest.save(run.path)
    with pytest.raises(RunError, match="class 1 as"):
        train(run, data)
    assert train(run, data, labels="truth").trained
