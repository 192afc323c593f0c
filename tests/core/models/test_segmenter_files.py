from __future__ import annotations

import pytest
import torch

from recam_cli.core.errors import DataError
from recam_cli.core.models.backbones import build_backbone
from recam_cli.core.models.checkpoint import read_about, save_model
from recam_cli.core.models.segmenter_files import load_segmenter, save_segmenter
from recam_cli.core.models.segmenters import HEADS, build_segmenter

CPU = torch.device("cpu")
CLASSES = ("cat", "dog")


def make(network="deeplabv2", *, stride=16, msc=False):
    backbone = build_backbone("mobilenet_v2", stride=stride, dilation="full")
    return build_segmenter(network, backbone, 3, msc=msc).eval()


@pytest.mark.parametrize("network", HEADS)
@pytest.mark.parametrize(("stride", "msc"), [(8, False), (16, True)])
def test_a_segmenter_comes_back_as_it_was(tmp_path, network, stride, msc):
    segmenter = make(network, stride=stride, msc=msc)
    path = tmp_path / "segmenter" / f"{network}.safetensors"
    images = torch.randn(1, 3, 64, 64)

    save_segmenter(path, segmenter, CLASSES, epochs=3)
    loaded, classes = load_segmenter(path, CPU)

    assert classes == CLASSES
    assert read_about(path)["epochs"] == 3
    assert (loaded.network, loaded.msc, loaded.backbone.stride) == (network, msc, stride)
    assert not loaded.training
    with torch.no_grad():
        assert torch.allclose(loaded.logits(images), segmenter.logits(images), atol=1e-3)


def test_other_models_files_are_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    save_model(path, torch.nn.Linear(2, 2), {"kind": "classifier"})

    with pytest.raises(DataError, match=r"model\.safetensors: not a segmenter but a classifier"):
        load_segmenter(path, CPU)


@pytest.mark.parametrize(
    "change",
    [{"network": "unet"}, {"stride": "wide"}, {"classes": 3}, {"backbone": "vgg99"}, {"msc": None, "stride": 5}],
)
def test_a_damaged_header_is_told_without_a_traceback(tmp_path, change):
    path = tmp_path / "model.safetensors"
    about = {
        "kind": "segmenter",
        "network": "deeplabv2",
        "backbone": "mobilenet_v2",
        "stride": 16,
        "msc": False,
        "classes": list(CLASSES),
    }
    save_model(path, torch.nn.Linear(2, 2), about | change)

    with pytest.raises(DataError, match=r"model\.safetensors: damaged header"):
        load_segmenter(path, CPU)


def test_weights_that_do_not_fit_the_header_are_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    save_segmenter(path, make(), ("cat", "dog", "cow"))

    with pytest.raises(DataError, match="weights of another network"):
        load_segmenter(path, CPU)
