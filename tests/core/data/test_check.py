from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from recam_cli.core.data import check
from recam_cli.core.data.check import CheckReport, check_image_set, open_checked, read_and_check
from recam_cli.core.data.check_files import check_files
from recam_cli.core.data.custom import open_custom
from recam_cli.core.data.images import write_mask
from recam_cli.core.data.problems import Problem
from recam_cli.core.data.samples import ImageSet, Sample
from recam_cli.core.errors import DataError
from recam_cli.core.reporter import SilentReporter
from recam_cli.core.settings.groups import DataSettings
from tests.helpers.real_data import msrc_root
from tests.helpers.tiny_data import make_custom, make_folder, make_voc


def photo(root, number=0):
    return root / "JPEGImages" / f"img_{number:03d}.jpg"


def mask(root, number=0):
    return root / "SegmentationClass" / f"img_{number:03d}.png"


def report(root, **options):
    return check_image_set(open_custom(root, "train"), **options)


def only_problem(root, **options):
    (problem,) = report(root, **options).problems
    return problem


def test_a_sound_data_set_has_no_problems(tmp_path):
    found = report(make_custom(tmp_path))
    assert found.problems == ()
    assert (found.images, found.masks) == (4, 4)
    found.raise_on_errors(strict=True)


@pytest.mark.parametrize("make", [make_voc, make_folder])
def test_so_have_those_of_other_layouts(tmp_path, make):
    name = "voc" if make is make_voc else "folder"
    _, found = read_and_check(DataSettings(dataset=name, data_root=make(tmp_path, n=9)), "train")
    assert found.errors == ()


def test_a_truncated_photograph_is_found_though_its_header_is_sound(tmp_path):
    root = make_custom(tmp_path)
    photo(root).write_bytes(photo(root).read_bytes()[:-200])
    problem = only_problem(root)
    assert (problem.file, problem.severity) == (photo(root), "error")
    assert problem.reason.startswith("truncated or damaged image")
    assert problem.remedy == "Replace the file"


@pytest.mark.parametrize("content", [b"", b"no image", b"GIF89a" + b"\0" * 100])
def test_files_that_are_no_photographs_are_found(tmp_path, content):
    root = make_custom(tmp_path)
    photo(root).write_bytes(content)
    assert only_problem(root).reason.startswith("not a readable image")


def test_an_oversized_photograph_is_found(tmp_path):
    root = make_custom(tmp_path, size=(40, 48))
    found = report(root, max_pixels=40 * 48 - 1)
    assert len(found.errors) == 8
    assert "48×40 is more than 1,919 pixels" in found.errors[0].reason
    assert report(root, max_pixels=40 * 48).problems == ()


def test_a_misleading_suffix_and_many_pages_are_warnings(tmp_path):
    root = make_custom(tmp_path, masks=False)
    pages = [Image.new("RGB", (9, 9))] * 2
    pages[0].save(photo(root), format="TIFF", save_all=True, append_images=pages[1:])
    reasons = [p.reason for p in report(root).warnings]
    assert reasons[0] == "a TIFF file named .jpg"
    assert reasons[1].startswith("2 frames or pages")


def test_a_photograph_that_vanished_after_listing_is_found(tmp_path):
    root = make_custom(tmp_path)
    image_set = open_custom(root, "train")
    photo(root).unlink()
    assert [p.reason for p in check_image_set(image_set).errors] == ["no such image"]


def test_a_mask_of_another_size_is_found_with_both_sizes(tmp_path):
    root = make_custom(tmp_path, size=(40, 48))
    write_mask(mask(root), np.full((48, 40), 1, dtype=np.uint8))
    problem = only_problem(root)
    assert problem.file == mask(root)
    assert problem.reason == "mask of 40×48 pixels, but its photograph has 48×40"


def test_a_mask_is_compared_with_the_upright_photograph(tmp_path):
    root = make_custom(tmp_path, size=(40, 48))
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 48)).save(photo(root), exif=exif)
    assert report(root).problems == ()


def test_a_mask_value_without_a_class_is_found_with_value_and_count(tmp_path):
    root = make_custom(tmp_path)
    pixels = np.asarray(Image.open(mask(root))).copy()
    pixels[0, :3] = 4
    pixels[1, 0] = 254
    write_mask(mask(root), pixels)
    reasons = [p.reason for p in report(root).errors]
    assert reasons[0].startswith("mask value 4 (3 pixels) is no class: 0 is background, 1 to 3 are classes")
    assert reasons[1].startswith("mask value 254 (1 pixel)")


@given(values=st.lists(st.integers(0, 255), min_size=1, max_size=30), classes=st.integers(1, 254))
@settings(max_examples=40, deadline=None)
def test_exactly_the_values_that_name_nothing_are_problems(tmp_path_factory, values, classes):
    folder = tmp_path_factory.mktemp("values")
    Image.new("RGB", (len(values), 1)).save(folder / "a.png")
    write_mask(folder / "m.png", np.array([values], dtype=np.uint8))
    found = check_files(folder / "a.png", folder / "m.png", 1000, classes)
    wrong = {v for v in values if v > classes and v != 255}
    assert [int(p.reason.split()[2]) for p in found.problems] == sorted(wrong)
    assert found.shown == tuple(sorted({v - 1 for v in values if 0 < v <= classes and v != 255}))


def test_a_colour_mask_is_found(tmp_path):
    root = make_custom(tmp_path)
    Image.new("RGB", (48, 40)).save(mask(root))
    assert only_problem(root).reason.startswith("mask of mode RGB")


def test_masks_for_some_images_only_are_a_warning(tmp_path):
    root = make_custom(tmp_path)
    mask(root, 1).unlink()
    assert only_problem(root).reason == "1 image of split 'train' without a true mask: img_001"
    assert only_problem(root).severity == "warning"


def test_labels_that_masks_contradict_are_a_warning(tmp_path):
    root = make_custom(tmp_path)
    text = (root / "labels.csv").read_text().replace("img_001,cat", "img_001,dog")
    (root / "labels.csv").write_text(text)
    reasons = [p.reason for p in report(root).warnings]
    assert reasons == [
        "no image of split 'train' shows cat",
        "1 mask of split 'train' shows other classes than the labels: img_001",
    ]


def test_images_without_a_label_are_a_warning_but_none_at_all_is_an_error(tmp_path):
    root = make_custom(tmp_path, masks=False)
    (root / "labels.csv").write_text("image,labels\nimg_000,\nimg_001,bus;cat;dog\nimg_002,\nimg_003,\n")
    problem = only_problem(root)
    assert problem.severity == "warning"
    assert problem.reason == "3 images of split 'train' without a label: img_000, img_002, img_003"
    (root / "labels.csv").write_text("image,labels\n" + "".join(f"img_{i:03d},\n" for i in range(4)))
    assert [p.reason for p in report(root).errors] == ["no image of split 'train' has a label"]


def test_an_empty_split_is_an_error(tmp_path):
    assert only_problem(make_custom(tmp_path, splits={"train": []})).reason == "split 'train' has no image"


def test_the_error_names_the_first_problem_and_counts_the_others(tmp_path):
    root = make_custom(tmp_path, masks=False)
    for number in range(3):
        photo(root, number).write_bytes(b"")
    with pytest.raises(DataError, match=r"img_000\.jpg: .* 2 more problems: recam check-data lists all"):
        report(root).raise_on_errors()
    photo(root, 1).unlink()
    with pytest.raises(DataError, match=r"JPEGImages.img_001: no such photograph\..* 2 more problems"):
        open_checked(DataSettings(dataset="custom", data_root=root), "train")


def test_warnings_stop_only_the_strict_and_reach_the_reporter(tmp_path):
    root = make_custom(tmp_path)
    mask(root).unlink()
    found = report(root)
    found.raise_on_errors()
    with pytest.raises(DataError, match="without a true mask"):
        found.raise_on_errors(strict=True)
    reporter = SilentReporter()
    image_set = open_checked(DataSettings(dataset="custom", data_root=root), "train", reporter=reporter)
    assert len(image_set) == 4
    assert len(reporter.warnings) == 1


def test_reader_and_file_problems_are_listed_together_errors_first(tmp_path):
    root = make_custom(tmp_path)
    mask(root).unlink()
    photo(root, 1).unlink()
    photo(root, 2).write_bytes(b"")
    _, found = read_and_check(DataSettings(dataset="custom", data_root=root), "train")
    assert [p.severity for p in found.problems][:2] == ["error", "error"]
    assert {p.file.name for p in found.errors} == {"img_001", "img_002.jpg"}
    assert found.warnings
    assert (found.images, found.masks) == (3, 2)


def counted(monkeypatch):
    calls = []

    def counting(*files):
        calls.append(files)
        return check_files(*files)

    monkeypatch.setattr(check, "check_files", counting)
    return calls


def test_a_second_check_decodes_only_what_changed(tmp_path, monkeypatch):
    root = make_custom(tmp_path / "set")
    photo(root, 1).write_bytes(b"broken")
    cache = tmp_path / "run" / "checked.json"
    calls = counted(monkeypatch)
    first = report(root, cache=cache)
    assert (len(calls), first.remembered) == (4, 0)
    second = report(root, cache=cache)
    assert (len(calls), second.remembered) == (4, 4)
    assert second.problems == first.problems
    photo(root).write_bytes(b"broken too")
    status = mask(root, 2).stat()
    os.utime(mask(root, 2), ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    third = report(root, cache=cache)
    assert (len(calls), third.remembered) == (6, 2)
    assert len(third.errors) == 2


@pytest.mark.parametrize("change", ["max_pixels", "classes", "mask"])
def test_other_settings_check_anew(tmp_path, monkeypatch, change):
    root = make_custom(tmp_path / "set")
    cache = tmp_path / "checked.json"
    report(root, cache=cache)
    calls = counted(monkeypatch)
    options = {"max_pixels": 4000} if change == "max_pixels" else {}
    if change == "classes":
        (root / "classes.txt").write_text("bus\ncat\ndog\nzebra\n")
    if change == "mask":
        mask(root).unlink()
    report(root, cache=cache, **options)
    assert len(calls) == (1 if change == "mask" else 4)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"key": 1}', b"\xff", b'{"files": {}, "key": []}', b"[" * 10**5]
)
def test_a_damaged_cache_counts_as_empty(tmp_path, content):
    root = make_custom(tmp_path / "set")
    cache = tmp_path / "checked.json"
    cache.write_bytes(content)
    assert report(root, cache=cache).remembered == 0
    assert report(root, cache=cache).remembered == 4


@pytest.mark.parametrize("place", ["file/checked.json", "set"])
def test_a_cache_that_cannot_be_written_is_a_warning(tmp_path, place):
    root = make_custom(tmp_path / "set")
    (tmp_path / "file").touch()
    reporter = SilentReporter()
    report(root, cache=tmp_path / place, reporter=reporter)
    assert "could not be remembered" in reporter.warnings[0]


def test_worker_processes_find_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(check, "INLINE", 2)
    monkeypatch.setattr(check, "CHUNK", 2)
    root = make_custom(tmp_path, n=9, size=(8, 9))
    photo(root, 2).write_bytes(b"broken")
    write_mask(mask(root, 4), np.full((8, 9), 77, dtype=np.uint8))
    alone, together = report(root, workers=0), report(root, workers=2)
    assert together == alone
    assert len(alone.errors) == 2


def test_what_goes_to_worker_processes_can_be_sent(tmp_path):
    for item in (check._check_chunk, check_files(tmp_path / "a.png", None, 9, 1)):
        pickle.dumps(item)


def test_a_problem_prints_on_one_line_whatever_the_file_name(tmp_path):
    odd = tmp_path / "a  b\nc.jpg"
    odd.write_bytes(b"")
    image_set = ImageSet("custom", tmp_path, "train", ("cat",), (Sample("a", odd, (0,)),))
    with pytest.raises(DataError) as caught:
        check_image_set(image_set).raise_on_errors()
    assert "\n" not in str(caught.value)
    assert str(caught.value).count("not a readable image") == 1


def test_real_photographs_pass():
    found = check_image_set(open_custom(msrc_root(), "val"))
    assert found.problems == ()
    assert (found.images, found.masks) == (95, 95)


def test_more_problems_follow_a_question_without_a_full_stop():
    problem = Problem(Path("a"), "unknown label 'cta'", "Did you mean 'cat'?")
    with pytest.raises(DataError, match=r"Did you mean 'cat'\? 1 more problem: recam check-data lists all"):
        CheckReport((problem, problem), images=2, masks=0).raise_on_errors()


@pytest.mark.parametrize(
    "wrong",
    [
        {"shown": [1e999]},
        {"shown": [99]},
        {"shown": [True]},
        {"shown": "ab"},
        {"problems": [{"file": "a", "reason": "b", "remedy": 3, "severity": "error"}]},
        {"problems": [{"file": "a", "reason": ["b"], "remedy": "c", "severity": "error"}]},
        {"problems": [{"file": "a", "reason": "b", "remedy": "c", "severity": "harmless"}]},
        {"problems": 3},
        {"problems": [None]},
    ],
    ids=str,
)
def test_a_remembered_result_of_the_wrong_kind_is_checked_anew(tmp_path, wrong):
    root, cache = make_custom(tmp_path / "data"), tmp_path / "checked.json"
    expected = report(root, cache=cache).problems
    content = json.loads(cache.read_text())
    for entry in content["files"].values():
        entry.update(wrong)
    cache.write_text(json.dumps(content))
    again = report(root, cache=cache)
    assert (again.remembered, again.problems) == (0, expected)
