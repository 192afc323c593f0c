"""A network of timm's from the command line."""

from __future__ import annotations

import pytest

from recam_cli.core.models.torchvision_gate import torchvision
from tests.helpers.kills import call
from tests.helpers.tiny_data import make_custom

torchvision()
pytest.importorskip("timm")
TRAIN = ["--weights", "none", "--epochs", "1", "--recam-epochs", "1", "--crop", "32", "--batch-size", "2"]
TRAIN += ["--recam-batch-size", "2", "--long-side", "32,48", "--workers", "0", "--device", "cpu"]


def test_a_classifier_on_a_transformer_of_timms_is_trained_and_read(tmp_path):
    make_custom(tmp_path / "photos")
    data = ["--dataset", "custom", "--data-root", "photos"]
    trained = call("train-cls", *data, "--backbone", "timm/test_vit", *TRAIN, "--json", cwd=tmp_path)
    assert trained.code == 0, trained.err
    seeds = call("make-seeds", "--scales", "1", "--workers", "0", "--json", cwd=tmp_path)
    assert seeds.code == 0, seeds.err
    assert seeds.json["images"] == 4


def test_a_name_of_neither_is_a_usage_error(tmp_path):
    outcome = call("train-cls", "--backbone", "resnet51", cwd=tmp_path)
    assert outcome.code == 2
    assert "Did you mean resnet50?" in " ".join(outcome.err.split())
