from __future__ import annotations

import json
from pathlib import Path

import pytest

from recam_cli.core.data import check
from recam_cli.core.errors import DataError, UsageError
from recam_cli.core.reporter import SilentReporter
from recam_cli.core.settings.check_data import CheckDataSettings
from recam_cli.core.settings.resolve import resolve
from recam_cli.stages.check_data import run
from tests.helpers.tiny_data import make_custom, make_voc


def check_data(root, dataset="custom", **flags):
    flags = {"dataset": dataset, "data_root": root, "workers": 0, **flags}
    return run(resolve(CheckDataSettings, flags=flags), SilentReporter())


def test_all_splits_are_summed_up(tmp_path):
    result = check_data(make_custom(tmp_path))
    assert result.passed
    result.raise_on_errors()
    assert [(s.split, s.images, s.masks, s.unlabelled) for s in result.splits] == [
        ("train", 4, 4, 0),
        ("val", 2, 2, 0),
    ]
    assert result.splits[0].per_class == {"bus": 3, "cat": 1, "dog": 1}


def test_the_result_is_json(tmp_path):
    root = make_custom(tmp_path)
    (root / "JPEGImages" / "img_001.jpg").write_bytes(b"")
    content = json.loads(json.dumps(check_data(root).as_dict(), allow_nan=False))
    assert (content["errors"], content["passed"]) == (1, False)
    assert content["problems"][0]["file"].endswith("img_001.jpg")
    assert set(content["problems"][0]) == {"file", "severity", "reason", "remedy"}


def test_every_problem_of_every_split_is_listed_once_errors_first(tmp_path):
    root = make_voc(tmp_path, splits={"train": [0, 1, 2], "val": [3, 4], "trainval": [0, 1, 2, 3, 4]})
    (root / "JPEGImages" / "2007_000001.jpg").write_bytes(b"")
    (root / "Annotations" / "2007_000003.xml").write_text("<annotation>")
    result = check_data(root, "voc")
    assert [s.split for s in result.splits] == ["train", "val", "trainval"]
    assert [p.file.name for p in result.report.errors] == ["2007_000001.jpg", "2007_000003.xml"]
    with pytest.raises(DataError, match="more problem"):
        result.raise_on_errors()


def test_one_split_can_be_chosen(tmp_path):
    result = check_data(make_custom(tmp_path), split="val")
    assert [s.split for s in result.splits] == ["val"]


def test_a_split_that_cannot_be_read_is_a_problem_of_its_file(tmp_path):
    root = make_custom(tmp_path)
    (root / "ImageSets" / "Segmentation" / "val.txt").write_bytes(b"\xff")
    result = check_data(root)
    assert [(p.file.name, p.reason) for p in result.problems] == [("val.txt", "line 1: not UTF-8 text")]
    assert [s.split for s in result.splits] == ["train"]
    result = check_data(root, split="tain")
    assert not result.passed
    assert "no list of the split 'tain'" in result.problems[0].reason


def test_warnings_fail_only_the_strict(tmp_path):
    root = make_custom(tmp_path)
    (root / "SegmentationClass" / "img_000.png").unlink()
    assert check_data(root).passed
    strict = check_data(root, strict=True)
    assert not strict.passed
    with pytest.raises(DataError, match="without a true mask"):
        strict.raise_on_errors()


def test_a_cache_makes_the_second_check_decode_nothing(tmp_path, monkeypatch):
    root = make_custom(tmp_path / "set")
    first = check_data(root, cache=tmp_path / "checked.json")
    monkeypatch.setattr(check, "check_files", None)
    assert check_data(root, cache=tmp_path / "checked.json") == first


@pytest.mark.parametrize("content", [b"\xff\xd8\xff\xe0photograph", b"bus\ncat\n", b"{}", b'{"key": "k", "files": {}}'])
def test_a_file_that_is_no_cache_is_refused_before_the_check_and_stays(tmp_path, monkeypatch, content):
    root = make_custom(tmp_path / "set")
    monkeypatch.setattr(check, "check_files", None)
    mine = tmp_path / "mine"
    mine.write_bytes(content)
    with pytest.raises(UsageError, match=r"--cache .*mine holds something other than remembered results"):
        check_data(root, cache=mine)
    assert mine.read_bytes() == content


def test_a_folder_or_device_is_refused_as_a_cache(tmp_path):
    root = make_custom(tmp_path / "set")
    for place in (root, Path("/dev/null")):
        with pytest.raises(UsageError, match=f"--cache {place}: "):
            check_data(root, cache=place)


def test_a_damaged_or_older_cache_is_replaced_and_so_is_an_empty_file(tmp_path):
    root, cache = make_custom(tmp_path / "set"), tmp_path / "checked.json"
    check_data(root, cache=cache)
    whole = cache.read_bytes()
    older = json.dumps({"key": "0" * 16, "files": {}}, indent=2).encode()
    for content in (whole[:100], older, b""):
        cache.write_bytes(content)
        check_data(root, cache=cache)
        assert cache.read_bytes() == whole


def test_no_data_set_and_no_split_are_errors_of_their_own(tmp_path):
    with pytest.raises(DataError, match="no custom data set at"):
        check_data(tmp_path / "gone")
    with pytest.raises(DataError, match="no split to check"):
        check_data(make_custom(tmp_path / "set", splits={}))


def test_settings_out_of_range_are_usage_errors(tmp_path):
    with pytest.raises(UsageError, match="--workers"):
        check_data(tmp_path, workers=-1)
