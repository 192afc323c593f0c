"""timm's networks in the place of recam's own: the same maps as timm gives, at every size, from timm's own weights."""

from __future__ import annotations

import sys

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from recam_cli.core.data.transforms import IMAGENET_MEAN, IMAGENET_STD
from recam_cli.core.errors import DataError, ExitCode, MissingExtraError, UsageError
from recam_cli.core.models.backbones import build_backbone, head_of
from recam_cli.core.models.classifier import Classifier
from recam_cli.core.models.classifier_files import load_classifier, save_classifier
from recam_cli.core.models.frozen_norm import FoldedConv2d
from recam_cli.core.models.importing import import_weights
from recam_cli.core.models.irnet import BoundaryNet
from recam_cli.core.models.torchvision_gate import torchvision
from recam_cli.core.models.weights import find_weights

torchvision()
timm = pytest.importorskip("timm")

CNN, VIT = "timm/test_resnet", "timm/test_vit"


def _images(height=61, width=99, seed=0):
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(seed))


def _random_norms(module):
    """Norms that do something, so that folding the wrong ones shows."""
    generator = torch.Generator().manual_seed(0)
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            for tensor, low in ((norm.running_mean, -0.2), (norm.running_var, 0.8), (norm.weight.data, 0.8)):
                tensor.copy_(torch.rand(tensor.shape, generator=generator) * 0.4 + low)
    return module


@pytest.mark.parametrize(
    ("name", "asked", "stride", "channels"),
    [
        (CNN, 16, 16, (32, 32, 48, 192, 96)),
        (CNN, 8, 8, (32, 32, 48, 192, 96)),
        ("timm/test_convnext", 8, 8, (24, 24, 32, 48, 64)),
        ("timm/mobilenetv3_small_050", 16, 16, (16, 8, 16, 24, 288)),
        ("timm/test_mambaout", 16, 32, (16, 16, 32, 48, 64)),
        (VIT, 8, 16, (64,) * 5),
        ("timm/vit_tiny_patch16_224", 16, 16, (192,) * 5),
    ],
)
@pytest.mark.parametrize("size", [(61, 99), (33, 32)])
def test_five_maps_of_odd_sizes_round_up_to_whole_cells(name, asked, stride, channels, size):
    backbone = build_backbone(name, stride=asked).eval()
    with torch.no_grad():
        maps, last = backbone.features(_images(*size)), backbone(_images(*size))
    assert (backbone.stride, backbone.stage_channels) == (stride, channels)
    assert tuple(m.shape[1] for m in maps) == channels
    assert maps[-1].shape[2:] == (-(-size[0] // stride), -(-size[1] // stride))
    torch.testing.assert_close(last, maps[-1])


def test_patches_of_14_pixels_rebuild_at_the_stride_they_have(monkeypatch):
    real = timm.create_model
    small = {"depth": 2, "embed_dim": 32, "num_heads": 2}
    monkeypatch.setattr(timm, "create_model", lambda *a, **k: real(*a, **k, **small))
    backbone = build_backbone("timm/vit_small_patch14_reg4_dinov2", stride=16).eval()
    assert backbone.stride == 14
    assert backbone(_images()).shape == (2, 32, 5, 8)
    assert build_backbone("timm/vit_small_patch14_reg4_dinov2", stride=14).stride == 14
    with pytest.raises(UsageError, match="output stride 14, not 15"):
        build_backbone("timm/vit_small_patch14_reg4_dinov2", stride=15)


@pytest.mark.parametrize("name", ["test_resnet", "test_convnext"])
def test_a_convolutional_network_gives_what_timm_gives_as_features_only(name):
    torch.manual_seed(0)
    theirs = timm.create_model(name, features_only=True, output_stride=16).eval()
    torch.manual_seed(0)
    ours = build_backbone(f"timm/{name}", stride=16).eval()
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    cfg = timm.create_model(name).pretrained_cfg
    pixels = _images(64, 96) * std + mean
    wanted = (pixels - torch.tensor(cfg["mean"]).view(3, 1, 1)) / torch.tensor(cfg["std"]).view(3, 1, 1)
    with torch.no_grad():
        for found, expected in zip(ours.features(_images(64, 96))[::-1], theirs(wanted)[::-1], strict=False):
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_a_transformer_gives_its_patch_tokens_of_the_normalisation_it_was_trained_with():
    torch.manual_seed(0)
    model = timm.create_model("test_vit", dynamic_img_size=True).eval()
    assert tuple(model.pretrained_cfg["mean"]) == (0.5, 0.5, 0.5)
    backbone = build_backbone(VIT, state=model.state_dict()).eval()
    images = _images(64, 96)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    with torch.no_grad():
        tokens = model.forward_features((images * std + mean - 0.5) / 0.5)[:, model.num_prefix_tokens :]
        found = backbone(images)
    torch.testing.assert_close(found.flatten(2).transpose(1, 2), tokens, rtol=1e-4, atol=1e-4)


def test_odd_edges_are_continued_by_their_last_pixels():
    backbone = build_backbone(VIT).eval()
    images = _images(30, 47)
    continued = nn.functional.pad(images, (0, 1, 0, 2), mode="replicate")
    with torch.no_grad():
        assert torch.equal(backbone(images), backbone(continued))


@pytest.mark.parametrize("name", [CNN, VIT, "timm/test_efficientnet", "timm/densenet121", "timm/test_convnext"])
def test_frozen_statistics_change_no_output_and_no_key(name):
    plain = _random_norms(build_backbone(name)).eval()
    frozen = build_backbone(name)
    frozen.load_state_dict(plain.state_dict())
    frozen.freeze_statistics()
    assert list(frozen.state_dict()) == list(plain.state_dict())
    with torch.no_grad():
        for found, expected in zip(frozen.train().features(_images()), plain.features(_images()), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))
    assert any(isinstance(m, FoldedConv2d) for m in frozen.modules()) == (name == CNN)


class _NormFirst(nn.Module):
    """Registers its norm after its convolution, and runs it before."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(32, 32, 1), nn.BatchNorm2d(32)

    def forward(self, images):
        return self.conv(self.norm(images))


def test_norms_that_follow_another_layer_than_their_neighbour_are_not_folded():
    backbone = build_backbone(CNN)
    model = backbone.trunk_of().model
    model.layer2 = nn.Sequential(_NormFirst(), *model.layer2)
    _random_norms(backbone).eval()
    with torch.no_grad():
        expected = backbone(_images())
        backbone.freeze_statistics()
        torch.testing.assert_close(backbone(_images()), expected)


def test_what_no_map_needs_is_not_kept_and_what_is_frozen_is_the_stem():
    backbone = build_backbone(CNN)
    assert not [key for key in backbone.state_dict() if ".fc." in key]
    backbone.freeze_stem()
    frozen = {k.split("model.")[1] for k, p in backbone.named_parameters() if not p.requires_grad}
    assert frozen == {"conv1.0.weight", "conv1.1.weight", "conv1.1.bias"}
    transformer = build_backbone(VIT)
    transformer.freeze_stem()
    frozen = {k.split("model.")[1] for k, p in transformer.named_parameters() if not p.requires_grad}
    assert frozen == {"patch_embed.proj.weight", "patch_embed.proj.bias"}


def test_the_first_stages_are_frozen_up_to_their_maps():
    backbone = build_backbone(CNN)
    backbone.freeze_stages(2)
    frozen = {k.split("model.")[1].split(".")[0] for k, p in backbone.named_parameters() if not p.requires_grad}
    free = {k.split("model.")[1].split(".")[0] for k, p in backbone.named_parameters() if p.requires_grad}
    assert (frozen, free) == ({"conv1", "bn1", "layer1"}, {"layer2", "layer3", "layer4"})


@pytest.mark.parametrize("head", [True, False])
def test_a_file_of_timms_state_dict_is_loaded_with_its_head_or_without(tmp_path, head):
    torch.manual_seed(1)
    state = timm.create_model("test_resnet").state_dict()
    state = state if head else {k: v for k, v in state.items() if not k.startswith("fc.")}
    save_file(state, tmp_path / "w.safetensors")
    found = find_weights(CNN, str(tmp_path / "w.safetensors"))
    assert found.state is not None and len(found.identity) == 64
    loaded = build_backbone(CNN, state=found.state).trunk_of().model.state_dict()
    assert all(torch.equal(loaded[key], state[key]) for key in loaded)
    assert (head_of(CNN, found.state) is not None) == head


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda s: s.pop("layer1.0.conv1.weight"), "lacks layer1.0.conv1.weight"),
        (lambda s: s.update(extra=torch.zeros(1)), "unknown extra"),
        (lambda s: s.update({"layer1.0.conv1.weight": torch.zeros(1)}), "another shape of layer1.0.conv1.weight"),
    ],
)
def test_weights_of_another_network_are_refused_naming_the_first_difference(change, word):
    state = timm.create_model("test_resnet").state_dict()
    change(state)
    with pytest.raises(ValueError, match=word):
        build_backbone(CNN, state=state)


def test_a_torch_file_of_timms_comes_in_by_import_and_is_then_found(tmp_path):
    torch.save(timm.create_model("test_resnet").state_dict(), tmp_path / "w.pth")
    imported = import_weights(tmp_path / "w.pth", CNN, None, tmp_path / "checkpoints", overwrite=False)
    assert find_weights(CNN, "imagenet", folder=tmp_path / "checkpoints").sha256 == imported.sha256


@pytest.mark.parametrize(
    ("name", "there"), [(CNN, True), ("timm/test_efficientnet", True), ("timm/test_convnext", False), (VIT, False)]
)
def test_the_imagenet_head_is_taken_where_it_is_linear_on_the_pooled_map(name, there):
    model = timm.create_model(name.removeprefix("timm/")).eval()
    head = head_of(name, model.state_dict())
    assert (head is not None) == there
    if head is not None:
        assert torch.equal(head, model.get_classifier().weight)


def test_timms_own_weights_are_told_apart_by_their_tensors(tmp_path, monkeypatch):
    real, seeds = timm.create_model, iter((1, 1, 2))

    def hub(name, pretrained=False, **options):
        if pretrained:
            torch.manual_seed(next(seeds))
        return real(name, pretrained=False, **options)

    monkeypatch.setattr(timm, "create_model", hub)
    found = [find_weights(CNN, "imagenet", folder=tmp_path) for _ in range(3)]
    assert found[0].identity == found[1].identity != found[2].identity
    assert "test_resnet" in found[0].origin
    build_backbone(CNN, state=found[0].state)


def test_a_hub_out_of_reach_is_one_line_with_the_remedy(tmp_path, monkeypatch):
    def offline(*args, **options):
        raise ConnectionError("no route to the hub\nsecond line")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(DataError, match="no route to the hub") as caught:
        find_weights(CNN, "imagenet", folder=tmp_path)
    assert "--weights FILE.safetensors" in str(caught.value) and "--weights none" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_timm_one_line_says_how_to_install_it(tmp_path, monkeypatch):
    classifier = Classifier(build_backbone(CNN), 2)
    save_classifier(tmp_path / "c.safetensors", classifier, ("a", "b"))
    monkeypatch.setitem(sys.modules, "timm", None)
    for call in (
        lambda: build_backbone(CNN),
        lambda: find_weights(CNN, "imagenet", folder=tmp_path),
        lambda: load_classifier(tmp_path / "c.safetensors", torch.device("cpu")),
    ):
        with pytest.raises(MissingExtraError, match=r"pip install 'recam-cli\[timm\]'") as caught:
            call()
        assert caught.value.exit_code == ExitCode.USAGE


def test_unknown_names_and_tags_are_told_with_the_nearest():
    with pytest.raises(UsageError, match="Did you mean timm/resnet10t"):
        build_backbone("timm/resnet10tt")
    with pytest.raises(UsageError, match=r"Did you mean timm/resnet10t\.c3_in1k"):
        build_backbone("timm/resnet10t.c3_in1")
    with pytest.raises(UsageError, match="unknown backbone"):
        build_backbone("timm/hf-hub:someone/something")


def test_a_network_of_one_picture_size_is_refused():
    with pytest.raises(UsageError, match="pictures of every size"):
        build_backbone("timm/test_maxvit")


@pytest.mark.parametrize("name", [CNN, VIT])
def test_a_classifier_and_a_boundary_network_are_rebuilt_from_the_name(tmp_path, name):
    classifier = Classifier(build_backbone(name, stride=8), 2)
    classifier.backbone.freeze_statistics()
    save_classifier(tmp_path / "c.safetensors", classifier, ("a", "b"))
    again, classes = load_classifier(tmp_path / "c.safetensors", torch.device("cpu"))
    assert (classes, again.backbone.name, again.backbone.stride) == (("a", "b"), name, classifier.backbone.stride)
    with torch.no_grad():
        torch.testing.assert_close(again(_images()), classifier.eval()(_images()), rtol=1e-3, atol=1e-4)
        assert BoundaryNet(build_backbone(name, stride=16), displacement=True)(_images()).shape == (2, 16, 25)
