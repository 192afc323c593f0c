"""A training that was killed, at any moment and any number of times, ends as one that was not: bit by bit."""

from __future__ import annotations

import shutil
import signal

import numpy as np
import pytest

from recam_cli.core.data.images import write_image
from tests.helpers.kills import drive, left_by, survive
from tests.helpers.manifests import edited_manifest
from tests.helpers.tiny_data import make_custom
from tests.helpers.tiny_run import make_run

CPU = ["--device", "cpu", "--precision", "fp32"]
EVERY_STEP = ["--snapshot-every", "1e-6"]
RUN = ["--run", "run"]
RESUME_CLS = ["train-cls", "--resume", *RUN]
RESUME_SEG = ["train-seg", "--resume", *RUN]


def train_cls(data, *others):
    """Three steps in each of three epochs, momentum and moving statistics; a snapshot after each step."""
    small = ["--epochs", 2, "--recam-epochs", 1, "--batch-size", 2, "--recam-batch-size", 2, "--crop", 32]
    rates = ["--long-side", "32,48", "--lr", 0.01, "--lr-fc1", 0.01, "--momentum", 0.9, "--jitter", 0.2]
    network = ["--backbone", "mobilenet_v2", "--weights", "none", "--probe-sides", 32]
    data = ["--dataset", "custom", "--data-root", data]
    return ["train-cls", *data, *network, *small, *rates, *CPU, *EVERY_STEP, *RUN, "--workers", 0, *others]


def train_seg(*others, network="lraspp"):
    """Gradients wait from one batch to the next; deeplabv3 has dropout."""
    network = ["--labels", "truth", "--network", network, "--stride", "16", "--init", "none", "--momentum", 0.9]
    small = ["--epochs", 2, "--batch-size", 2, "--accumulate", 2, "--crop", 64, "--jitter", 0.2, "--no-flip"]
    return ["train-seg", *network, *small, *CPU, *EVERY_STEP, *RUN, "--workers", 0, *others]


@pytest.fixture(scope="module")
def classifiers(tmp_path_factory):
    """Give the data, what an uninterrupted training leaves, and a folder with one killed in its second epoch."""
    root = tmp_path_factory.mktemp("resume")
    data = make_custom(root / "data", 9)
    for name in ("whole", "killed"):
        (root / name).mkdir()
    assert drive(root / "whole", *train_cls(data)).code == 0
    assert drive(root / "killed", *train_cls(data), kill_at=6).killed
    return data, left_by(root / "whole" / "run"), root / "killed"


@pytest.fixture
def killed(classifiers, tmp_path):
    """Give a copy of the killed run's folder."""
    return shutil.copytree(classifiers[2], tmp_path / "copy")


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "printed.txt"}


def damage(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize(
    ("workers", "moments"),
    [pytest.param(0, [("step", 3), ("half", 6)], marks=pytest.mark.slow), (2, [("step", 3), ("half", 6)])],
)
def test_a_classifier_killed_again_and_again_is_the_same(classifiers, tmp_path, workers, moments):
    data, whole, _ = classifiers
    begin = train_cls(data, "--workers", workers)
    assert survive(tmp_path, begin, RESUME_CLS, moments) == [moment for moment, _ in moments]
    assert left_by(tmp_path / "run") == whole
    assert not (tmp_path / "run" / "classifier" / "snapshots").exists()


@pytest.mark.slow
def test_a_classifier_that_takes_its_best_epochs_is_the_same_when_killed(classifiers, tmp_path):
    begin = [*train_cls(classifiers[0], "--epochs", 3), "--select", "best"]
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    assert drive(tmp_path / "whole", *begin).code == 0
    moments = [("step", 5), ("half", 6), ("replaced", 5)]
    assert survive(tmp_path / "killed", begin, RESUME_CLS, moments) == [moment for moment, _ in moments]
    assert left_by(tmp_path / "killed" / "run") == left_by(tmp_path / "whole" / "run")


@pytest.mark.slow
def test_a_training_goes_on_with_another_number_of_workers(classifiers, killed):
    assert drive(killed, *RESUME_CLS, "--workers", 2).code == 0
    assert left_by(killed / "run") == classifiers[1]


def test_where_the_last_snapshot_is_damaged_the_one_before_serves_and_this_is_said(classifiers, killed):
    damage(killed / "run" / "classifier" / "snapshots" / "last.safetensors")
    ended = drive(killed, *RESUME_CLS)
    assert ended.code == 0
    assert "last.safetensors is damaged" in ended.text
    assert "going on from run/classifier/snapshots/last-1.safetensors" in ended.text
    assert left_by(killed / "run") == classifiers[1]


def test_where_both_are_damaged_it_exits_4_and_touches_nothing(killed):
    for name in ("last", "last-1"):
        damage(killed / "run" / "classifier" / "snapshots" / f"{name}.safetensors")
    before = contents(killed)
    ended = drive(killed, *RESUME_CLS)
    assert ended.code == 4
    assert "no snapshot is whole: last.safetensors (" in ended.text
    assert "last-1.safetensors (" in ended.text
    assert contents(killed) == before


def test_changed_settings_are_refused_with_the_difference_and_nothing_is_touched(killed):
    before = contents(killed)
    ended = drive(killed, *RESUME_CLS, "--lr", 0.02, "--seed", 7)
    assert ended.code == 4
    assert "lr 0.01 → 0.02" in ended.text
    assert "seed 0 → 7" in ended.text
    assert contents(killed) == before


def with_a_changed_held_out_image(data, out):
    changed = shutil.copytree(data, out)
    held_out = (changed / "ImageSets" / "Segmentation" / "val.txt").read_text().split()[0]
    write_image(changed / "JPEGImages" / f"{held_out}.jpg", np.full((40, 48, 3), 90, np.uint8))
    return changed


def test_a_changed_held_out_image_is_refused_where_weights_are_chosen_by_it(classifiers, killed, tmp_path):
    data, before = with_a_changed_held_out_image(classifiers[0], tmp_path / "changed"), contents(killed)
    ended = drive(killed, *RESUME_CLS, "--data-root", data)
    assert (ended.code, "held-out data" in ended.text) == (4, True)
    assert contents(killed) == before


def test_elsewhere_a_changed_held_out_image_is_warned_of(classifiers, tmp_path):
    assert drive(tmp_path, *train_cls(classifiers[0], "--select", "last"), kill_at=6).killed
    data = with_a_changed_held_out_image(classifiers[0], tmp_path / "changed")
    ended = drive(tmp_path, *RESUME_CLS, "--data-root", data)
    assert ended.code == 0
    assert ended.text.count("warning: the held-out images have changed since this training was begun") == 1


def test_nothing_to_resume_exits_4_and_names_what_was_looked_for(classifiers, killed, tmp_path):
    ended = drive(tmp_path, "train-cls", "--resume", "--run", "nowhere")
    assert (ended.code, "nowhere: no such run" in ended.text) == (4, True)
    shutil.rmtree(killed / "run" / "classifier")
    ended = drive(killed, *RESUME_CLS)
    assert (ended.code, "neither run/classifier/snapshots/last.safetensors nor last-1" in ended.text) == (4, True)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_a_signal_leaves_a_snapshot_of_the_step_it_came_in(classifiers, tmp_path, number, code):
    begin = train_cls(classifiers[0], "--snapshot-every", 0)
    assert drive(tmp_path, *begin, kill_at=5, number=number).code == code
    ended = drive(tmp_path, *RESUME_CLS)
    assert "going on after epoch 1, step 5" in ended.text
    assert left_by(tmp_path / "run") | {"manifest": 0} == classifiers[1] | {"manifest": 0}


@pytest.mark.slow
def test_without_resume_a_classifier_is_begun_anew(classifiers, killed):
    assert drive(killed, *train_cls(classifiers[0])).code == 0
    assert left_by(killed / "run") == classifiers[1]
    assert (killed / "run" / "unfinished-1" / "classifier" / "snapshots" / "last.safetensors").is_file()


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """Give a folder with a run that has seeds and masks, to train on."""
    root = tmp_path_factory.mktemp("started")
    make_run(root)
    return root


def copies(started, tmp_path):
    for name in ("whole", "killed"):
        shutil.copytree(started / "run", tmp_path / name / "run")
    return tmp_path / "whole", tmp_path / "killed"


@pytest.mark.parametrize(
    ("network", "workers", "moments"),
    [
        ("lraspp", 0, [("step", 2)]),
        pytest.param("lraspp", 2, [("step", 2), ("step", 2)], marks=pytest.mark.slow),
        pytest.param("deeplabv3", 0, [("step", 2), ("synced", 5), ("step", 2)], marks=pytest.mark.slow),
    ],
)
def test_a_segmenter_killed_again_and_again_is_the_same(started, tmp_path, network, workers, moments):
    whole, killed = copies(started, tmp_path)
    assert drive(whole, *train_seg(network=network)).code == 0
    kills = survive(killed, train_seg("--workers", workers, network=network), RESUME_SEG, moments)
    assert kills == [moment for moment, _ in moments]
    assert left_by(killed / "run") == left_by(whole / "run")


def test_a_segmenter_killed_while_it_predicts_goes_on_predicting(started, tmp_path):
    _, killed = copies(started, tmp_path)
    ended = drive(killed, *RESUME_SEG)
    assert (ended.code, "run has no train-seg" in ended.text) == (4, True)
    assert drive(killed, *train_seg("--epochs", 1)).code == 0
    whole = left_by(killed / "run")
    with edited_manifest(killed / "run") as manifest:
        manifest["stages"]["train-seg-truth"] |= {"state": "running", "outputs": {}, "metrics": {}, "notes": {}}
    next((killed / "run" / "predictions-truth").rglob("*.png")).unlink()

    ended = drive(killed, *RESUME_SEG)

    assert ended.code == 0, ended.text
    assert left_by(killed / "run") == whole


@pytest.mark.slow
def test_snapshots_of_a_segmenter_begun_anew_are_kept_aside(started, tmp_path):
    _, killed = copies(started, tmp_path)
    assert drive(killed, *train_seg(), kill_at=2).killed
    assert drive(killed, *RESUME_SEG, "--lr", 0.5).code == 4
    ended = drive(killed, *train_seg("--epochs", 1))
    assert ended.code == 0
    assert "snapshots.old-1" in ended.text
    assert (killed / "run" / "segmenter-truth" / "snapshots.old-1" / "last.safetensors").is_file()


@pytest.mark.parametrize("walk", ["irn", pytest.param("psa", marks=pytest.mark.slow)])
def test_make_masks_goes_on_with_the_network_it_was_training(started, tmp_path, walk):
    whole, killed = copies(started, tmp_path)
    small = [f"--{walk}-epochs", 2, f"--{walk}-batch-size", 2, f"--{walk}-crop", 32, "--threshold", 0.3, "--workers", 0]
    small += ["--irn-radius", 3, "--walk-steps", 4]
    command = ["make-masks", "--refine", walk, *small, *CPU, *EVERY_STEP, "--overwrite", *RUN]
    assert drive(whole, *command).code == 0
    assert drive(killed, *command, kill_at=2).killed
    ended = drive(killed, *command)
    assert ended.code == 0
    assert "going on after epoch 0, step 1" in ended.text
    assert left_by(killed / "run") == left_by(whole / "run")
