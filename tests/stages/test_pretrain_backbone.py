"""pretrain-backbone: weights in torchvision's layout, the same from the same seed, with a card that fits them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from recam_cli.core.data.shapes import PRETRAIN_CATEGORIES
from recam_cli.core.data.shapes.single import draw_single_pictures
from recam_cli.core.errors import RunError, UsageError
from recam_cli.core.models.backbones import build_backbone
from recam_cli.core.models.builtin import save_torchvision_state, torchvision_state
from recam_cli.core.models.checkpoint import read_state
from recam_cli.core.reporter import SilentReporter
from recam_cli.core.runs.files import sha256_of
from recam_cli.core.settings.pretrain_backbone import PretrainBackboneSettings
from recam_cli.core.settings.resolve import resolve
from recam_cli.stages import pretrain_backbone
from recam_cli.stages.pretrain_backbone import cosine

TINY = {"images": 8, "val_images": 4, "size": 64, "crops": "32", "epochs": "1", "batch_size": 4, "workers": 0}


def make(path, **flags):
    resolved = resolve(PretrainBackboneSettings, flags={**TINY, "out": path, **flags})
    return pretrain_backbone.run(resolved, SilentReporter())


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make(tmp_path_factory.mktemp("weights") / "small.safetensors")


def test_the_weights_are_torchvisions_and_load_into_a_backbone(made):
    state = read_state(made.weights)
    assert not any(name.startswith("classifier.") for name in state)
    assert state["features.0.0.weight"].dtype == torch.float16
    assert state["features.0.1.running_var"].dtype == torch.float32
    backbone = build_backbone("mobilenet_v2", state=state)
    assert backbone.state_dict()["stages.0.0.0.weight"].dtype == torch.float32
    assert made.bytes < 6_000_000


def test_the_card_names_data_hash_and_accuracy(made):
    card = made.card.read_text(encoding="utf-8")
    assert sha256_of(made.weights) == made.sha256
    for text in (made.sha256, "8 generated pictures", f"{made.accuracy:.2f} %", PRETRAIN_CATEGORIES[0], "Command"):
        assert text in card
    json.dumps(made.as_dict(), allow_nan=False)


def test_equal_seeds_give_equal_weights(made, tmp_path):
    assert make(tmp_path / "again.safetensors").sha256 == made.sha256


def test_what_is_there_is_not_overwritten(made):
    with pytest.raises(RunError, match="there already"):
        make(made.weights)


@pytest.mark.parametrize(
    ("flags", "message"), [({"crops": "32,64"}, "--crops names 2 phases"), ({"out": "weights.pth"}, "safetensors")]
)
def test_settings_that_do_not_fit_are_refused_before_anything_is_drawn(tmp_path, flags, message):
    with pytest.raises(UsageError, match=message):
        make(**{"path": tmp_path / "w.safetensors", **({"path": flags["out"]} if "out" in flags else flags)})


def test_pictures_follow_from_seed_part_and_number_alone():
    def draw(count, part, workers):
        return draw_single_pictures(count, 64, 3, part, workers=workers, reporter=SilentReporter())

    few, more, other = draw(3, 0, 0), draw(5, 0, 2), draw(3, 1, 0)
    np.testing.assert_array_equal(few.pixels, more.pixels[:3])
    assert not np.array_equal(few.pixels, other.pixels)
    assert list(more.categories) == [0, 1, 2, 3, 4]
    assert more.one_hot().shape == (5, len(PRETRAIN_CATEGORIES))


@pytest.mark.parametrize("name", ["mobilenet_v2", "resnet18"])
def test_writing_and_loading_gives_back_every_weight(tmp_path, name):
    backbone = build_backbone(name)
    save_torchvision_state(tmp_path / "w.safetensors", backbone)
    again = build_backbone(name, state=read_state(tmp_path / "w.safetensors"))
    for (key, expected), found in zip(backbone.state_dict().items(), again.state_dict().values(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-6, msg=key)
    assert not any(key.startswith(("fc.", "classifier.")) for key in torchvision_state(backbone))


def test_the_learning_rate_rises_then_falls_to_zero():
    factors = [cosine(step, 100, 0.1) for step in range(101)]
    assert factors[:10] == pytest.approx([(k + 1) / 10 for k in range(10)])
    assert factors[10] == 1.0
    assert factors[100] == pytest.approx(0.0)
    assert factors[10:] == sorted(factors[10:], reverse=True)
