"""`recam import-weights` as users call it, and every other command's way to it."""

from __future__ import annotations

import json
import os
import pickle
import shlex

import pytest
import torch

from recam_cli.core.models.backbones import BACKBONES
from tests.helpers.kills import drive
from tests.helpers.tiny_data import make_custom

TRAIN = ["train-cls", "--dataset", "custom", "--data-root", "data", "--backbone", "mobilenet_v2", "--device", "cpu"]
SMALL = ["--epochs", 1, "--method", "cam", "--batch-size", 2, "--crop", 32, "--long-side", "32,48", "--workers", 0]
SMALL += ["--probe-sides", 32]


@pytest.fixture
def place(tmp_path):
    make_custom(tmp_path / "data")
    torch.save(BACKBONES["mobilenet_v2"].build().state_dict(), tmp_path / "my weights.pth")
    return tmp_path


def test_training_names_the_command_that_makes_its_weights_usable(place):
    refused = drive(place, *TRAIN, *SMALL, "--weights", "my weights.pth", "--run", "run")
    assert refused.code == 3 and "Traceback" not in refused.text
    (line,) = [line for line in refused.text.splitlines() if line.startswith("recam: ")]
    assert not (place / "run").exists()
    command = shlex.split(line[line.rindex("recam import-weights") :])
    assert command == ["recam", "import-weights", str(place / "my weights.pth"), "--backbone", "mobilenet_v2"]

    imported = drive(place, *command[1:])

    assert imported.code == 0, imported.text
    assert imported.text.startswith("checkpoints/mobilenet_v2.safetensors: 314 tensors of mobilenet_v2, sha256 ")
    trained = drive(place, *TRAIN, *SMALL, "--run", "run")  # by default from checkpoints/
    assert trained.code == 0, trained.text
    assert "weights: checkpoints/mobilenet_v2.safetensors" in trained.text


def test_json_says_what_was_made_of_what(place):
    done = drive(place, "import-weights", "my weights.pth", "--out", "w.safetensors", "--json", "--quiet")
    result = json.loads(done.text)
    assert (result["path"], result["source"], result["backbone"]) == ("w.safetensors", "my weights.pth", "mobilenet_v2")
    assert result["tensors"] == 314 and len(result["sha256"]) == len(result["source_sha256"]) == 64


def test_code_in_a_file_ends_with_3_and_did_not_run(place):
    class Danger:
        def __reduce__(self):
            return (os.mkdir, (str(place / "ran"),))

    (place / "evil.pth").write_bytes(pickle.dumps(Danger()))
    ended = drive(place, "import-weights", "evil.pth")
    assert ended.code == 3 and "could run code" in ended.text and "Traceback" not in ended.text
    assert not (place / "ran").exists() and not (place / "checkpoints").exists()
