"""Torch files come in by one door: as plain tensors that fit a backbone, or not at all; nothing in them runs."""

from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch

from recam_cli.core.errors import DataError, ExitCode, RunError, UsageError
from recam_cli.core.models import importing
from recam_cli.core.models.backbones import BACKBONES
from recam_cli.core.models.checkpoint import read_about, read_state
from recam_cli.core.models.foreign import read_foreign
from recam_cli.core.models.importing import import_weights
from recam_cli.core.runs.files import sha256_of


@pytest.fixture(scope="module")
def state():
    """Give a state dict of MobileNetV2 with its head, as torchvision saves one."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return BACKBONES["mobilenet_v2"].build().state_dict()


def saved(folder, content, name="w.pth"):
    torch.save(content, folder / name)
    return folder / name


def bring(source, folder, backbone=None, target=None, **options):
    return import_weights(source, backbone, target, folder, **({"overwrite": False} | options))


class Danger:
    """Unpickled with its code, it would make a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (os.mkdir, (self.path,))


@pytest.mark.parametrize("how", ["plain", "torch", "nested", "beside"])
def test_code_in_a_file_does_not_run(tmp_path, state, how):
    ran, source = tmp_path / "ran", tmp_path / "evil.pth"
    danger = Danger(ran)
    if how == "plain":
        source.write_bytes(pickle.dumps(danger))
    else:
        held = {
            "torch": danger,
            "nested": {"state_dict": state | {"x": danger}},
            "beside": {"model": state, "x": danger},
        }
        saved(tmp_path, held[how], "evil.pth")
    with pytest.raises(DataError, match=r"evil\.pth: refused: .*could run code") as caught:
        bring(source, tmp_path / "checkpoints")
    assert caught.value.exit_code == ExitCode.BAD_DATA
    assert "state_dict()" in (caught.value.remedy or "")
    assert not ran.exists() and not (tmp_path / "checkpoints").exists()


def test_with_pickles_own_reader_that_code_would_have_run(tmp_path):
    pickle.loads(pickle.dumps(Danger(tmp_path / "ran")))
    assert (tmp_path / "ran").is_dir()


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: s,
        lambda s: {"state_dict": s, "epoch": 3},
        lambda s: {"model": {f"module.{k}": v for k, v in s.items()}},
        lambda s: {"state_dict": {f"module.backbone.{k}": v for k, v in s.items()}},
        lambda s: {k: torch.nn.Parameter(v) if v.is_floating_point() else v for k, v in s.items()},
    ],
    ids=["plain", "state_dict", "model and module.", "two prefixes", "parameters"],
)
def test_the_state_dict_is_found_recognised_and_kept_bit_by_bit(tmp_path, state, wrap):
    source = saved(tmp_path, wrap(state))
    made = bring(source, tmp_path / "checkpoints")
    assert (made.backbone, made.path) == ("mobilenet_v2", tmp_path / "checkpoints" / "mobilenet_v2.safetensors")
    found = read_state(made.path)
    assert found.keys() == state.keys() and all(torch.equal(found[k], state[k]) for k in state)
    assert (made.tensors, made.sha256) == (len(state), sha256_of(made.path))
    assert read_about(made.path) == {
        "kind": "backbone",
        "backbone": "mobilenet_v2",
        "layout": "torchvision",
        "imported_from": "w.pth",
        "imported_sha256": sha256_of(source),
    }


@pytest.mark.parametrize("name", list(BACKBONES))
def test_every_backbone_is_recognised_by_its_tensors(name):
    with torch.device("meta"):
        state = BACKBONES[name].build().state_dict()
    assert importing.fitting_backbone(state, None, Path("w.pth")) == name
    assert importing.fitting_backbone({k: v for k, v in state.items() if "fc" not in k}, name, Path("w.pth")) == name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"features.0.0.weight": torch.zeros(1)},
            "nearest: not weights of mobilenet_v2: the file has another shape of",
        ),
        ({"features.99.weight": torch.zeros(1)}, "has an unknown features.99.weight"),
        ({"features.0.0.weight": None}, "lacks features.0.0.weight"),
        ({"features.0.1.bias": torch.full((32,), float("nan"))}, r"NaN or infinite numbers in features\.0\.1\.bias"),
        ({"classifier.1.bias": torch.full((1000,), float("inf"))}, r"NaN or infinite numbers in classifier\.1\.bias"),
        ({"features.0.1.bias": torch.zeros(32, dtype=torch.complex64)}, "no dense tensor of numbers"),
        ({"features.0.1.bias": torch.zeros(32).to_sparse()}, "no dense tensor of numbers"),
        ({"classifier.1.weight": torch.zeros(1).expand(1 << 30, 4)}, "no dense tensor of numbers"),
        ({"x": "text"}, "not a state dict of tensors"),
        ({3: torch.zeros(1)}, "not a state dict of tensors"),
    ],
    ids=lambda v: None if isinstance(v, str) else f"{next(iter(v))}",
)
def test_what_does_not_fit_is_refused_by_name_and_nothing_written(tmp_path, state, change, message):
    changed = {k: v for k, v in (state | change).items() if v is not None}
    with pytest.raises(DataError, match=message):
        bring(saved(tmp_path, changed), tmp_path / "checkpoints")
    assert not (tmp_path / "checkpoints").exists()


@pytest.mark.parametrize("content", [[1, 2], {}, 3, torch.zeros(2), {"state_dict": {"a": {}}}], ids=repr)
def test_other_contents_are_refused(tmp_path, content):
    with pytest.raises(DataError, match="not a state dict"):
        read_foreign(saved(tmp_path, content))


def test_weights_of_another_backbone_than_named_are_refused(tmp_path, state):
    with pytest.raises(DataError, match="not weights of resnet50: the file lacks") as caught:
        bring(saved(tmp_path, state), tmp_path / "checkpoints", "resnet50")
    assert "--backbone" in str(caught.value)


@pytest.mark.parametrize("damage", ["empty", "text", "cut", "no such file", "flipped"])
def test_damaged_files_are_a_data_error(tmp_path, state, damage):
    source = saved(tmp_path, state)
    data = bytearray(source.read_bytes())
    data[-300] ^= 0xFF  # within the archive's directory
    contents = {"empty": b"", "text": b"<html>" * 99, "cut": bytes(data[: len(data) // 2]), "flipped": bytes(data)}
    source.unlink() if damage == "no such file" else source.write_bytes(contents[damage])
    with pytest.raises(DataError, match=r"w\.pth"):
        bring(source, tmp_path / "checkpoints")
    assert not (tmp_path / "checkpoints").exists()


def test_a_compressed_archive_is_refused_before_it_is_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * 10_000_000)
    with pytest.raises(DataError, match="refused: compressed"):
        bring(tmp_path / "bomb.pth", tmp_path / "checkpoints")


def test_a_file_that_is_there_is_kept_unless_it_is_the_same(tmp_path, state):
    folder = tmp_path / "checkpoints"
    first = bring(saved(tmp_path, state), folder)
    stamp = first.path.stat().st_mtime_ns
    assert bring(tmp_path / "w.pth", folder).sha256 == first.sha256
    assert first.path.stat().st_mtime_ns == stamp
    other = saved(tmp_path, {k: v + 1 for k, v in state.items()}, "other.pth")
    with pytest.raises(RunError, match="is there already, and different"):
        bring(other, folder)
    assert sha256_of(first.path) == first.sha256
    made = bring(other, folder, overwrite=True)
    assert made.kept is not None and sha256_of(made.kept) == first.sha256 != made.sha256


def test_a_write_that_fails_leaves_nothing(tmp_path, state, monkeypatch):
    source = saved(tmp_path, state)
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(RunError, match="No space left"):
        bring(source, tmp_path / "checkpoints")
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_the_output_is_safetensors_by_name_too(tmp_path, state):
    with pytest.raises(UsageError, match="does not end in"):
        bring(saved(tmp_path, state), tmp_path, target=tmp_path / "out.pth", overwrite=True)
