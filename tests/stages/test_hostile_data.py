"""Hostile and broken data: each file is read rightly, or named with reason and remedy; nothing hangs."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import time

import numpy as np
import pytest
from PIL import Image

from recam_cli.core.data.images import read_image
from recam_cli.core.errors import DataError, RecamError, UsageError
from recam_cli.core.reporter import SilentReporter
from recam_cli.core.settings.check_data import CheckDataSettings
from recam_cli.core.settings.resolve import read_config, resolve
from recam_cli.core.settings.train_cls import TrainClsSettings
from recam_cli.stages import check_data
from tests.core.data.test_images import oriented
from tests.helpers.command_line import recam
from tests.helpers.hostile_files import CONFIGS, ENTRIES, TABLES, make_class_folder
from tests.helpers.hostile_images import encoded, write_images
from tests.helpers.tiny_data import make_custom

IMAGES = 200 << 20
"""Bytes that no image of the corpus may cost."""


@pytest.fixture(autouse=True)
def _no_hang():
    def give_up(*_):
        raise TimeoutError("a reader hangs")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def check(root, dataset="folder", **flags):
    return check_data.run(
        resolve(CheckDataSettings, flags={"dataset": dataset, "data_root": root, **flags}), SilentReporter()
    )


def of(result, name):
    """Return what the check says of a name, as a user reads it."""
    return [p for p in result.problems if name in str(p)]


def test_each_image_is_read_or_named_with_reason_and_remedy(tmp_path):
    root = tmp_path / "photos"
    images = write_images(root / "cat")
    before, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10, time.process_time()
    result = check(root, split="all")
    assert time.process_time() - begun < 10
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10) - before < IMAGES
    assert result.splits[0].images == len(images)
    for image in images:
        found = of(result, f"/{image.file}:")
        if image.refused is None and image.warned is None:
            assert not found, image.file
            continue
        assert len(found) == 1, image.file
        assert found[0].severity == ("error" if image.refused else "warning"), image.file
        assert re.search(image.refused or image.warned, found[0].reason), str(found[0])
        assert found[0].remedy


def test_what_is_readable_has_the_right_pixels(tmp_path):
    for image in write_images(tmp_path):
        if image.refused is None:
            read = read_image(tmp_path / image.file)
            assert read.ndim == 3 and read.dtype == np.uint8
            if image.colour is not None:
                assert np.abs(read.astype(int) - image.colour).max() <= 6, image.file


@pytest.mark.parametrize("orientation", range(1, 9))
def test_rotated_photographs_have_the_pixels_of_the_upright_original(tmp_path, orientation):
    upright = np.random.default_rng(0).integers(0, 256, (13, 22, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    for kind, options in (("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True})):
        stored = Image.fromarray(np.ascontiguousarray(oriented(upright, orientation)))
        (tmp_path / "a.png").write_bytes(encoded(stored, kind, exif=exif, **options))
        assert np.array_equal(read_image(tmp_path / "a.png"), upright)


def test_no_entry_of_a_folder_hangs_or_is_passed_over_in_silence(tmp_path):
    make_class_folder(tmp_path / "photos")
    result = check(tmp_path / "photos", split="all")
    for entry in ENTRIES:
        found = of(result, entry.name)
        if entry.problem is None:
            found = [p for p in found if "the same photograph" not in p.reason]  # they are copies of one in bus/
            assert not found, entry.name
            continue
        said = [p for p in found if entry.problem in p.reason]
        assert said and {p.severity for p in said} == {entry.severity}, (entry.name, found)
        assert all(p.remedy for p in said)
    read = [e for e in ENTRIES if e.problem is None]
    broken = [e for e in ENTRIES if e.problem and re.search("plain file|no such image|symbolic|readable", e.problem)]
    assert result.splits[0].images == 12 + len(read) + len(broken)


@pytest.mark.parametrize("table", TABLES, ids=lambda t: f"{t.file} {t.refused}")
def test_each_label_file_is_read_or_named_with_reason_and_remedy(tmp_path, table):
    root = make_custom(tmp_path / "data", masks=False)
    (root / "labels.csv").unlink()
    (root / table.file).write_bytes(table.data)
    result = check(root, "custom")
    assert result.passed is (table.refused is None)
    if table.refused is None:
        assert sum(s.images for s in result.splits) == 6
        assert not [s for s in result.splits if s.unlabelled]
    else:
        found = [p for p in result.problems if p.severity == "error" and re.search(table.refused, p.reason)]
        assert found and table.file in str(found[0])
    for problem in result.problems:
        assert len(str(problem)) < 1500 and "\n" not in str(problem) and problem.remedy
    json.dumps(result.as_dict())


def test_every_hostile_table_without_classes_gives_typed_errors_only(tmp_path):
    root = make_custom(tmp_path / "data", masks=False)
    (root / "classes.txt").unlink()
    for table in TABLES:
        for name in ("labels.csv", "labels.json"):
            (root / name).unlink(missing_ok=True)
        (root / table.file).write_bytes(table.data)
        result = check(root, "custom")
        assert all("\n" not in str(problem) and problem.remedy for problem in result.problems)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: repr(c[:40]))
def test_each_broken_config_is_a_usage_error_in_bounded_time(tmp_path, config):
    path = tmp_path / "a.toml"
    path.write_bytes(config)
    begun = time.process_time()
    with pytest.raises(UsageError) as caught:
        resolve(
            TrainClsSettings,
            flags={},
            config=read_config(path, "train-cls", tables=("train-cls",)),
            config_name=str(path),
        )
    assert time.process_time() - begun < 1
    assert "a.toml" in str(caught.value)
    assert len(str(caught.value)) < 1500 and "\n" not in str(caught.value)


def test_ids_of_lists_cannot_lead_out_of_the_folder(tmp_path):
    root = make_custom(tmp_path / "data", masks=False)
    (tmp_path / "secret.jpg").write_bytes((root / "JPEGImages" / "img_000.jpg").read_bytes())
    listing = root / "ImageSets" / "Segmentation" / "train.txt"
    for wrong in ("../../secret", "/etc/passwd", "..", ".", "a/b", "C:\\a", ".hidden", "a\0b", "x" * 300, "\u2028"):
        listing.write_text(f"img_000\n{wrong}\nimg_001\n")
        errors = check(root, "custom", split="train").report.errors
        assert errors or not wrong.strip(), wrong
        assert all("line 2" in str(e) or "no such" in str(e) for e in errors), [str(e) for e in errors]


@pytest.mark.parametrize(
    "name", ["labels.csv", "classes.txt", "ImageSets/Segmentation/train.txt", "JPEGImages/img_000.jpg"]
)
@pytest.mark.parametrize("what", ["pipe", "device", "loop", "dangling", "folder"])
def test_special_files_in_place_of_any_file_of_a_data_set_are_told(tmp_path, name, what):
    root = make_custom(tmp_path / "data", masks=False)
    path = root / name
    path.unlink()
    make = {
        "pipe": lambda: os.mkfifo(path),
        "device": lambda: path.symlink_to("/dev/zero"),
        "loop": lambda: path.symlink_to(path.name),
        "dangling": lambda: path.symlink_to("nowhere"),
        "folder": lambda: path.mkdir(),
    }
    make[what]()
    try:
        result = check(root, "custom", split="train")
    except RecamError as error:
        assert isinstance(error, DataError)
        return
    assert not result.passed, "passed over in silence"
    assert of(result, path.stem)


def test_the_command_says_so_in_lines_and_in_json(tmp_path):
    make_class_folder(tmp_path / "photos")
    write_images(tmp_path / "photos" / "bus")
    outcome = recam("check-data", "--dataset", "folder", "--data-root", tmp_path / "photos", "--json", timeout=60)
    assert outcome.code == 3
    files = [problem["file"] for problem in outcome.json["problems"]]
    assert any(file.endswith("pipe.jpg") for file in files)
    assert "Traceback" not in outcome.err and "unexpected" not in outcome.err
    last = outcome.err.splitlines()[-1]
    assert last.startswith("recam: ") and "recam check-data lists all" in last


def test_roots_of_strange_names_are_usable_or_told(tmp_path):
    for name in (b"not utf-8 \xff", b"line\nend", b"blank "):
        root = tmp_path / os.fsdecode(name)
        make_custom(root, masks=False)
        outcome = recam("check-data", "--dataset", "custom", "--data-root", root, "--json", timeout=60)
        assert outcome.code == 0, outcome.err
        assert outcome.json["root"] == str(root)
    for name in ("a" * 300, "a/" * 3000):
        outcome = recam("check-data", "--dataset", "custom", "--data-root", tmp_path / name, timeout=60)
        assert outcome.code == 3
        assert "File name too long" in outcome.err and outcome.err.count("\n") == 1
