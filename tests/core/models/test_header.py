"""What a weights file says of itself is taken by type, before a network is built from it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch

from recam_cli.core.errors import DataError
from recam_cli.core.models.branch_files import AFFINITY, BOUNDARY, load_branch
from recam_cli.core.models.checkpoint import packed, read_about
from recam_cli.core.models.classifier_files import load_classifier
from recam_cli.core.models.header import class_names, rebuilt_backbone, word
from recam_cli.core.models.segmenter_files import load_segmenter

CPU = torch.device("cpu")
WRONG = (None, 3, "cat", [], ["a"] * 255, [1], [["a"]], {"a": 1}, 1e400, ["a", None])


@pytest.mark.parametrize("names", WRONG, ids=repr)
def test_classes_are_a_list_of_names_as_many_as_masks_allow(names):
    with pytest.raises(DataError, match=r"a\.bin: damaged header: no usable 'classes'"):
        class_names({"classes": names}, Path("a.bin"))
    assert class_names({"classes": ["a", "b"]}, Path("a.bin")) == ("a", "b")


@pytest.mark.parametrize(
    "stride", [None, "16", 16.0, True, [16], 7, -16, 10**400, float("inf")], ids=lambda v: repr(v)[:9]
)
def test_strides_are_whole_numbers_that_a_backbone_has(stride):
    with pytest.raises(DataError, match=r"a\.bin: damaged header"):
        rebuilt_backbone({"backbone": "resnet18", "stride": stride}, Path("a.bin"))


def test_a_word_is_text_and_a_backbone_one_of_the_registry():
    for value in (None, 3, ["resnet18"]):
        with pytest.raises(DataError, match="'backbone'"):
            word({"backbone": value}, "backbone", Path("a"))
    with pytest.raises(DataError, match=r"unknown backbone.*Restore"):
        rebuilt_backbone({"backbone": "x" * 9, "stride": 16}, Path("a"))


def load_every_kind(path):
    for load in (
        lambda: load_classifier(path, CPU),
        lambda: load_segmenter(path, CPU),
        lambda: load_branch(path, BOUNDARY, CPU),
        lambda: load_branch(path, AFFINITY, CPU),
    ):
        with pytest.raises(DataError, match=r"a\.safetensors"):
            load()


@pytest.mark.parametrize("kind", ["classifier", "segmenter", "boundary network", "affinity network", None, ["x"]])
@pytest.mark.parametrize("classes", [["a"], ["a"] * 100_000, "abc", None])
def test_every_kind_of_network_refuses_headers_that_cannot_be_meant(tmp_path, kind, classes):
    about = {"kind": kind, "classes": classes, "backbone": "nothing", "stride": 16, "network": [], "msc": "no"}
    (tmp_path / "a.safetensors").write_bytes(packed({"a": torch.zeros(1)}, about | {"displacement": "yes"}))
    load_every_kind(tmp_path / "a.safetensors")


def test_headers_that_are_nested_or_no_json_are_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    for text in ("[" * 100_000, '{"a":' * 100_000, "", "7", "9" * 10_000, json.dumps({"kind": "\ud800"})):
        path.write_bytes(safetensors.torch.save({"a": torch.zeros(1)}, metadata={"recam": text}))
        load_every_kind(path)
    with pytest.raises(DataError, match=r"a\.safetensors: not weights written by recam"):
        path.write_bytes(safetensors.torch.save({"a": torch.zeros(1)}, metadata={"recam": "[" * 100_000}))
        read_about(path)
