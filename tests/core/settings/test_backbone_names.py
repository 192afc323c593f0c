"""The names `--backbone` takes are checked without torch and timm."""

from __future__ import annotations

import typing

import pytest

from recam_cli.core.errors import UsageError
from recam_cli.core.models.backbones import BACKBONES
from recam_cli.core.settings.backbone_names import BackboneName, check_backbone, is_timm
from recam_cli.core.settings.resolve import resolve
from recam_cli.core.settings.run import RunSettings
from recam_cli.core.settings.train_cls import TrainClsSettings
from recam_cli.core.settings.train_seg import TrainSegSettings


def test_the_known_names_are_those_of_the_networks():
    assert set(typing.get_args(BackboneName)) <= set(BACKBONES)


@pytest.mark.parametrize("cls", [TrainClsSettings, TrainSegSettings, RunSettings])
@pytest.mark.parametrize("name", ["vgg16", "timm/resnet10t", "timm/vit_small_patch14_dinov2.lvd142m"])
def test_known_names_and_those_of_timm_are_taken(cls, name):
    assert resolve(cls, flags={"backbone": name}).settings.backbone == name


@pytest.mark.parametrize("cls", [TrainClsSettings, TrainSegSettings, RunSettings])
@pytest.mark.parametrize(
    "name", ["resnet51", "", "timm/", "timm/a/b", "timm/hf-hub:a/b", "timm/../x", "timm/local-dir:x", "timm/a\n"]
)
def test_others_are_refused_by_name(cls, name):
    with pytest.raises(UsageError, match=r"--backbone: .* is not one of .*, nor timm/NAME"):
        resolve(cls, flags={"backbone": name})


def test_the_nearest_name_is_suggested():
    with pytest.raises(UsageError, match=r"Did you mean resnet50\?"):
        check_backbone("resnet51", "--backbone")


def test_an_address_is_never_a_name_of_timm():
    assert is_timm("timm/resnet10t.c3_in1k")
    assert not is_timm("timm/hf-hub:timm/resnet10t")
