"""The backbone that comes with recam is there, fits, and is the one its card describes."""

from __future__ import annotations

import pytest
import torch

from recam_cli.core.errors import UsageError
from recam_cli.core.models import builtin
from recam_cli.core.models.backbones import build_backbone
from recam_cli.core.models.builtin import BUILTIN_BACKBONE, builtin_weights, card_path
from recam_cli.core.models.weights import find_weights
from recam_cli.core.runs.files import sha256_of


def test_the_builtin_weights_load_and_give_features_that_tell_images_apart():
    weights = find_weights(BUILTIN_BACKBONE, "builtin")
    backbone = build_backbone(BUILTIN_BACKBONE, state=weights.state).eval()
    with torch.inference_mode():
        features = backbone(torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1)
    assert features.shape == (2, 1280, 4, 4)
    assert torch.isfinite(features).all()
    assert (features[0] - features[1]).abs().max() > 0.01


def test_the_card_beside_the_weights_carries_their_hash():
    path = builtin_weights(BUILTIN_BACKBONE)
    card = card_path(path).read_text(encoding="utf-8")
    assert sha256_of(path) in card
    assert f"{path.stat().st_size:,} bytes" in card
    assert path.stat().st_size <= 12_000_000


def test_no_other_backbone_is_built_in():
    with pytest.raises(UsageError, match="recam brings no weights of resnet18"):
        find_weights("resnet18", "builtin")


def test_the_file_in_the_package_is_found_as_well_as_the_clones(tmp_path, monkeypatch):
    package = tmp_path / "recam_cli"
    for folder in (tmp_path / "checkpoints", package / "checkpoints"):
        folder.mkdir(parents=True)
        monkeypatch.setattr(builtin, "_PACKAGE", package)
        (folder / builtin.builtin_name(BUILTIN_BACKBONE)).touch()
        assert builtin_weights(BUILTIN_BACKBONE).parent == folder


def test_an_installation_without_the_file_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(builtin, "_PACKAGE", tmp_path / "recam_cli")
    with pytest.raises(UsageError, match="recam pretrain-backbone"):
        builtin_weights(BUILTIN_BACKBONE)
