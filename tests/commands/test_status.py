"""`recam status` as users call it: what a run holds, and with --verify whether it is still what was written."""

from __future__ import annotations

import json
import shlex

import pytest

from tests.helpers.damage import flip_bit
from tests.helpers.kills import call, drive
from tests.helpers.manifests import edited_manifest
from tests.helpers.tiny_data import make_custom
from tests.helpers.tiny_run import add_segmenter, record_classifier

STATUS = ("status", "--run", "run")
DIVERGING = "train-cls --run run --dataset custom --data-root data --method cam --backbone mobilenet_v2 --weights none"
DIVERGING += " --probe-sides 32"
DIVERGING = f"{DIVERGING} --epochs 3 --crop 32 --batch-size 2 --workers 0 --device cpu --lr 0.01 --lr-fc1 1e12".split()


@pytest.fixture
def weights(tmp_path):
    return add_segmenter(record_classifier(tmp_path / "run"))


def test_a_whole_run_is_said_to_be_whole(tmp_path, weights):
    ended = drive(tmp_path, *STATUS, "--verify", "--quiet")
    assert ended.code == 0 and "all 1 files are as they were written" in ended.text
    assert "as they were written" not in drive(tmp_path, *STATUS).text


def test_a_changed_file_is_named_and_ends_with_5(tmp_path, weights):
    flip_bit(weights)
    assert drive(tmp_path, *STATUS).code == 0
    ended = drive(tmp_path, *STATUS, "--verify", "--quiet")
    assert ended.code == 5
    assert "1 of 1 files are not as they were written: run/segmenter/deeplabv2.safetensors (changed)" in ended.text
    ended = drive(tmp_path, *STATUS, "--verify", "--json", "--quiet")
    assert ended.code == 5
    verified = json.loads(ended.text[: ended.text.rindex("recam: ")])["verified"]
    assert verified["faults"][0] == {
        "stage": "train-seg",
        "file": "run/segmenter/deeplabv2.safetensors",
        "reason": "changed",
    }


def test_classes_that_were_not_learned_are_named(tmp_path, weights):
    known = {"verdict": "not learned", "photographs": 9, "ap": 31.4, "low": 20.0, "high": 50.0, "chance": 40.0}
    few = dict.fromkeys(("ap", "low", "high", "chance")) | {"verdict": "too few", "photographs": 3}
    learned = {"cat": known | {"verdict": "learned"}, "dog": known, "emu": few}
    with edited_manifest(tmp_path / "run") as manifest:
        manifest["stages"]["train-cls"]["metrics"] = {"learned": learned, "cross_validated_map": 60.5}
    said = " ".join(call(*STATUS, cwd=tmp_path).out.split())
    assert "mAP 60.50 % (cross-validated)" in said
    assert "not learned: 1 of 3 classes: dog (AP 31 % of 9 photographs" in said
    assert "too few photographs" in said and "emu (3)" in said
    assert call(*STATUS, "--json", cwd=tmp_path).json["stages"]["train-cls"]["metrics"]["learned"] == learned


def test_an_edited_manifest_ends_with_4_and_one_edited_knowingly_is_read(tmp_path, weights):
    file = tmp_path / "run" / "manifest.json"
    edited = file.read_text().replace('"method": "recam"', '"method": "cam"')
    assert edited != file.read_text()
    file.write_text(edited)
    ended = drive(tmp_path, *STATUS)
    assert ended.code == 4 and 'take out the line "sha256" at its top' in ended.text and "Traceback" not in ended.text
    first, seal, *others = edited.splitlines()
    assert "sha256" in seal
    file.write_text("\n".join([first, *others]))
    assert drive(tmp_path, *STATUS).code == 0


def test_after_a_nan_the_next_command_has_lower_rates_and_does_not_resume(tmp_path):
    """Resumed, the training would meet the same NaN."""
    make_custom(tmp_path / "data", 6)
    failed = call(*DIVERGING, cwd=tmp_path)
    assert (failed.code, "Lower the learning rate" in failed.err) == (5, True)

    said = "train-cls failed: CAM: the "
    assert said in " ".join(call("status", "--run", "run", cwd=tmp_path).out.split())
    status = call("status", "--run", "run", "--json", cwd=tmp_path).json
    assert status["stages"]["train-cls"]["error"].startswith("CAM: the ")
    program, *words = shlex.split(status["next_command"])
    assert program == "recam" and words[: len(DIVERGING)] == DIVERGING
    assert words[len(DIVERGING) :] == ["--lr", "0.001", "--lr-fc1", "1e+11"]
    assert call(*words, "--lr-fc1", "0.01", cwd=tmp_path).code == 0
