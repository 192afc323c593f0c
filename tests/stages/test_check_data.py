from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from recam_cli.core.data import check
from recam_cli.core.errors import DataError, UsageError
from recam_cli.core.reporter import SilentReporter
from recam_cli.core.settings.check_data import CheckDataSettings
from recam_cli.core.settings.resolve import resolve
from recam_cli.stages.check_data import run
from tests.helpers.tiny_data import make_custom, make_folder, make_voc


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
    assert [(p.file.name, p.reason) for p in result.report.errors] == [("val.txt", "line 1: not UTF-8 text")]
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


def test_photographs_of_nothing_are_counted_and_no_warning(tmp_path):
    make_folder(tmp_path, n=60, classes=("cat", "dog", "none"))
    result = check_data(tmp_path, "folder")
    assert result.problems == ()
    assert (result.nothing, result.as_dict()["nothing"]) == (20, 20)
    assert [(s.split, s.images, s.unlabelled) for s in result.splits] == [("train", 48, 16), ("val", 12, 4)]
    assert result.classes == ("cat", "dog")


def test_copies_across_given_splits_and_class_folders_are_told(tmp_path):
    make_folder(tmp_path / "train", n=36)
    make_folder(tmp_path / "val", n=3, seed=100)
    shutil.copy(tmp_path / "train" / "cat" / "img_001.jpg", tmp_path / "val" / "cat" / "again.jpg")
    shutil.copy(tmp_path / "train" / "cat" / "img_004.jpg", tmp_path / "train" / "dog" / "again.jpg")
    result = check_data(tmp_path, "folder")
    assert result.passed
    assert [(p.file.parent.name, p.file.name) for p in result.problems] == [
        ("cat", "again.jpg"),
        ("cat", "img_004.jpg"),
    ]
    assert "labelled cat and dog" in result.problems[1].reason
    assert not list(tmp_path.rglob(".*"))


def test_recams_own_split_knows_of_no_leak_but_of_contradictions(tmp_path):
    make_folder(tmp_path, n=36)
    shutil.copy(tmp_path / "cat" / "img_001.jpg", tmp_path / "cat" / "again.jpg")
    assert check_data(tmp_path, "folder").problems == ()
    shutil.copy(tmp_path / "cat" / "img_001.jpg", tmp_path / "dog" / "again.jpg")
    assert ["the same photograph is labelled cat and dog" in p.reason for p in check_data(tmp_path, "folder").problems]


def test_too_few_photographs_to_hold_any_out_are_a_warning(tmp_path):
    result = check_data(make_folder(tmp_path, n=3), "folder")
    assert result.passed
    assert [(s.split, s.images) for s in result.splits] == [("train", 3), ("val", 0)]
    assert "no labelled photograph could be held out" in result.problems[0].reason
    assert "3 classes with fewer than 10 photographs" in result.problems[1].reason


def test_few_photographs_and_inseparable_classes_are_told_of_the_split_that_trains(tmp_path):
    root = make_custom(tmp_path, n=12, splits={"train": range(12), "val": range(2)}, masks=False)
    rows = "".join(f"img_{i:03d},{'bus;cat' if i < 11 else 'dog'}\n" for i in range(12))
    (root / "labels.csv").write_text(f"image,labels\n{rows}")
    reasons = [p.reason for p in check_data(root).problems]
    assert "1 class with fewer than 10 photographs: dog (1)" in reasons
    assert "classes that always come together: bus and cat (11)" in reasons
    assert not [r for r in (p.reason for p in check_data(root, split="val").problems) if "fewer" in r]
