"""`recam status` as users call it: what a run holds, and with --verify whether it is still what was written."""

from __future__ import annotations

import json

import pytest

from tests.helpers.damage import flip_bit
from tests.helpers.kills import drive
from tests.helpers.tiny_run import add_segmenter, record_classifier

STATUS = ("status", "--run", "run")


@pytest.fixture
def weights(tmp_path):
    return add_segmenter(record_classifier(tmp_path / "run"))


def test_a_whole_run_is_said_to_be_whole(tmp_path, weights):
    ended = drive(tmp_path, *STATUS, "--verify", "--quiet")
    assert ended.code == 0 and "all 1 files are as they were written" in ended.text
    assert "as they were written" not in drive(tmp_path, *STATUS).text


def test_a_changed_file_is_named_and_ends_with_5(tmp_path, weights):
    flip_bit(weights)
    assert drive(tmp_path, *STATUS).code == 0
    ended = drive(tmp_path, *STATUS, "--verify", "--quiet")
    assert ended.code == 5
    assert "1 of 1 files are not as they were written: run/segmenter/deeplabv2.safetensors (changed)" in ended.text
    ended = drive(tmp_path, *STATUS, "--verify", "--json", "--quiet")
    assert ended.code == 5
    verified = json.loads(ended.text[: ended.text.rindex("recam: ")])["verified"]
    assert verified["faults"][0] == {
        "stage": "train-seg",
        "file": "run/segmenter/deeplabv2.safetensors",
        "reason": "changed",
    }


def test_an_edited_manifest_ends_with_4_and_one_edited_knowingly_is_read(tmp_path, weights):
    file = tmp_path / "run" / "manifest.json"
    edited = file.read_text().replace('"method": "recam"', '"method": "cam"')
    assert edited != file.read_text()
    file.write_text(edited)
    ended = drive(tmp_path, *STATUS)
    assert ended.code == 4 and 'take out the line "sha256" at its top' in ended.text and "Traceback" not in ended.text
    first, seal, *others = edited.splitlines()
    assert "sha256" in seal
    file.write_text("\n".join([first, *others]))
    assert drive(tmp_path, *STATUS).code == 0
