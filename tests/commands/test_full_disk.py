"""A disk that becomes full or read-only: one line, exit 4, and what was written before serves the next call."""

from __future__ import annotations

import pytest

from tests.helpers.kills import drive, left_by
from tests.helpers.small_disk import small_disk
from tests.helpers.tiny_data import make_custom
from tests.stages.test_killed_items import begin, command_of, items, prepare
from tests.stages.test_resume import RESUME_CLS, train_cls


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return prepare(tmp_path_factory.mktemp("prepared"))


@pytest.mark.parametrize(
    ("stage", "free"),
    [("make-seeds", 20), pytest.param("make-masks by cuts", 36, marks=pytest.mark.slow), ("predict", 20)],
)
def test_an_item_stage_on_a_disk_that_becomes_full_keeps_its_items_and_goes_on_once_there_is_space(
    prepared, tmp_path, stage, free
):
    whole = begin(prepared, tmp_path / "whole", stage)
    assert drive(whole, *command_of(stage)).code == 0
    with small_disk(tmp_path, kilobytes=1 << 20) as disk:
        full = begin(prepared, disk / "full", stage)
        (full / "printed.txt").touch()
        disk.leave_free(free)

        ended = drive(full, *command_of(stage), out=tmp_path / "printed.txt")

        assert ended.code == 4, ended.text
        assert "No space left on device. Free space" in ended.text
        assert "Traceback" not in ended.text
        made = items(full, stage)
        assert 0 < len(made) < len(items(whole, stage))
        disk.leave_free(1 << 20)
        assert drive(full, *command_of(stage)).code == 0
        assert made.items() <= items(full, stage).items()
        assert left_by(full / "run") == left_by(whole / "run")


def test_a_training_on_a_disk_that_becomes_full_resumes_to_the_same_bits(tmp_path):
    data, whole = make_custom(tmp_path / "data", 9), tmp_path / "whole"
    whole.mkdir()
    assert drive(whole, *train_cls(data)).code == 0
    with small_disk(tmp_path, kilobytes=45_000) as disk:
        ended = drive(disk, *train_cls(data), out=tmp_path / "printed.txt")
        assert (ended.code, "No space left on device" in ended.text) == (4, True), ended.text
        disk.leave_free(1 << 20)
        assert drive(disk, *RESUME_CLS).code == 0
        assert left_by(disk / "run") == left_by(whole / "run")


def test_a_read_only_run_is_one_line_and_can_be_looked_at(prepared, tmp_path):
    with small_disk(tmp_path, kilobytes=1 << 20) as disk:
        folder = begin(prepared, disk / "folder", "make-seeds")
        disk.make_read_only()
        printed = tmp_path / "printed.txt"
        ended = drive(folder, *command_of("make-seeds"), out=printed)
        assert (ended.code, len(ended.text.splitlines())) == (4, 1)
        assert "run cannot be written: Read-only file system" in ended.text
        assert drive(folder, "status", "--run", "run", out=printed).code == 0
