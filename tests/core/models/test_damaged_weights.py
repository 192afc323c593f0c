"""Damaged and hostile weights files of other tools are refused in one line."""

from __future__ import annotations

import os

import pytest
import torch

from recam_cli.core.errors import DataError
from recam_cli.core.models.checkpoint import read_about, read_state
from recam_cli.core.models.foreign import read_foreign
from recam_cli.core.training.snapshot_files import DamagedError, read_snapshot


def refused(path, match, read=read_foreign):
    with pytest.raises(DataError, match=match) as caught:
        read(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("zipped", [True, False])
def test_each_cut_of_a_torch_file_is_refused(tmp_path, zipped):
    path = tmp_path / "a.pth"
    torch.save({"a": torch.arange(6.0)}, path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    for length in range(0, len(whole) - 1, 13):
        path.write_bytes(whole[:length])
        refused(path, r"a\.pth: (damaged|refused)")


def test_a_file_of_the_old_format_that_claims_endless_texts_is_refused(tmp_path):
    path = tmp_path / "a.pth"
    for opcode in (b"X", b"\x8a", b"\x8b", b"T", b"B"):  # texts, numbers and bytes of a length in four bytes
        path.write_bytes(b"\x80\x02" + opcode + b"\xff\xff\xff\x7f" + b"x" * 10)
        refused(path, r"a\.pth: (damaged|refused)")


@pytest.mark.parametrize(
    "state",
    [
        {"a": torch.zeros(1).expand(1 << 40)},
        {"a": torch.eye(3).to_sparse()},
        {"a": torch.empty(1 << 40, device="meta")},
        {1: torch.zeros(1)},
        {"a": [torch.zeros(1)]},
        [torch.zeros(1)],
    ],
    ids=["one value repeated", "sparse", "without storage", "a number for a name", "a list within", "a list"],
)
def test_what_is_no_state_dict_of_plain_tensors_is_refused(tmp_path, state):
    torch.save(state, tmp_path / "a.pth")
    refused(tmp_path / "a.pth", r"(not a state dict of tensors|no dense tensor of numbers).*Save")


def test_pipes_in_place_of_weights_do_not_block(tmp_path):
    for suffix, read in ((".safetensors", read_state), (".pth", read_foreign)):
        os.mkfifo(tmp_path / f"a{suffix}")
        refused(tmp_path / f"a{suffix}", "no such weights file", read)
    with pytest.raises(DataError, match="plain file"):
        read_about(tmp_path / "a.safetensors")
    with pytest.raises(DamagedError, match="plain file"):
        read_snapshot(tmp_path / "a.safetensors")
