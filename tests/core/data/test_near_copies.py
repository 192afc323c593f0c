from __future__ import annotations

import json
import os
import shutil
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from recam_cli.core.data import near_copies as module
from recam_cli.core.data import photo_marks
from recam_cli.core.data.images import read_image, read_thumbnail, write_image
from recam_cli.core.data.near_copies import ALIKE, group_marks, likeness, near_copies
from recam_cli.core.data.photo_marks import MARKS_NAME, Mark, MarkFile, read_marks
from recam_cli.core.errors import DataError
from tests.helpers.real_data import msrc_root


def scene(seed, size=(96, 128)):
    """A photograph's like: smooth random shapes of several sizes, uint8 (H, W, 3)."""
    rng = np.random.default_rng(seed)
    total = np.zeros((*size, 3))
    for cells, weight in ((3, 50), (6, 35), (12, 20), (24, 10)):
        noise = rng.normal(0, 1, (cells, cells, 3)).astype(np.float32)
        layers = [Image.fromarray(noise[..., c]).resize(size[::-1], Image.Resampling.BICUBIC) for c in range(3)]
        total += weight * np.stack([np.asarray(layer) for layer in layers], axis=-1)
    return np.clip(total + 120, 0, 255).astype(np.uint8)


def cropped(photo, left=0.05, top=0.05, right=0.05, bottom=0.05):
    height, width = photo.shape[:2]
    return photo[round(top * height) : round((1 - bottom) * height), round(left * width) : round((1 - right) * width)]


def halved(photo):
    height, width = photo.shape[:2]
    return np.asarray(Image.fromarray(photo).resize((width // 2, height // 2), Image.Resampling.BICUBIC))


CHANGES = {
    "re-encoded": lambda photo: photo,
    "half": halved,
    "cropped": cropped,
    "cropped at two sides": lambda photo: cropped(photo, right=0, bottom=0),
    "brightened": lambda photo: np.clip(photo * 1.2, 0, 255).astype(np.uint8),
    "half, cropped, darkened": lambda photo: (cropped(halved(photo), 0.03, 0.0, 0.02, 0.04) * 0.8).astype(np.uint8),
}


def fill(folder, number=6):
    for k in range(number):
        write_image(folder / f"{k}.png", scene(k))
    return {str(k): folder / f"{k}.png" for k in range(number)}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_copy_is_found_whatever_was_done_to_it(tmp_path, change):
    photos = fill(tmp_path)
    photos["copy"] = tmp_path / "copy.jpg"
    write_image(photos["copy"], change(scene(3)), quality=60)
    assert near_copies(photos) == [["0"], ["1"], ["2"], ["3", "copy"], ["4"], ["5"]]


def test_real_photographs_are_alike_only_where_one_sees_it(tmp_path):
    files = sorted((msrc_root() / "JPEGImages").iterdir())
    photos = {file.stem: file for file in files}
    for file in files[::40]:
        for name, change in CHANGES.items():
            path = tmp_path / f"{file.stem} {name}.jpg"
            write_image(path, change(read_image(file)), quality=70)
            photos[path.stem] = path
    groups = [group for group in near_copies(photos) if len(group) > 1]
    expected = [sorted([file.stem, *(f"{file.stem} {name}" for name in CHANGES)]) for file in files[::40]]
    assert sorted(groups) == sorted([*expected, ["4_2_s", "4_3_s"]])


def test_the_same_bytes_are_copies_though_nothing_can_be_seen_in_them(tmp_path):
    photos = {name: tmp_path / f"{name}.png" for name in "abcdef"}
    Image.new("RGB", (40, 30), (9, 9, 9)).save(photos["a"])
    shutil.copy(photos["a"], photos["b"])
    Image.new("RGB", (40, 30), (200, 9, 9)).save(photos["c"])
    photos["d"].write_bytes(b"no photograph")
    photos["e"].write_bytes(b"no photograph")
    photos["f"].write_bytes(b"no PHOTOGRAPH")
    assert near_copies(photos) == [["a", "b"], ["c"], ["d", "e"], ["f"]]


def test_what_cannot_be_read_is_alone(tmp_path):
    photos = fill(tmp_path, 2)
    photos["gone"], photos["folder"], photos["pipe"] = tmp_path / "gone.png", tmp_path, tmp_path / "pipe.png"
    os.mkfifo(photos["pipe"])
    write_image(tmp_path / "1.png", scene(0))
    assert near_copies(photos) == [["0", "1"], ["folder"], ["gone"], ["pipe"]]


def test_the_order_of_photographs_changes_nothing(tmp_path):
    photos = fill(tmp_path)
    write_image(tmp_path / "0.png", cropped(scene(5)))
    assert near_copies(photos) == near_copies(dict(reversed(photos.items())))


def test_alike_through_a_third_is_one_group():
    marks = [seen(scene(0)), seen(scene(1)), seen(cropped(scene(0))), seen(halved(scene(0)))]
    assert group_marks(marks) == [[0, 2, 3], [1]]


def test_what_resembles_the_next_one_is_no_endless_group():
    wide = scene(7, (96, 400))
    views = [seen(np.ascontiguousarray(wide[:, 4 * k : 4 * k + 128])) for k in range(40)]
    stamps = [view.grey.astype(np.float32) for view in views]
    assert all(likeness(a, b) >= ALIKE for a, b in pairwise(stamps))
    groups = group_marks(views)
    assert 2 < len(groups) < 20
    assert all(likeness(stamps[group[0]], stamps[k]) > 1 for group in groups for k in group)


def test_one_shape_in_two_colours_is_two_photographs():
    grey = np.asarray(Image.fromarray(scene(0)).convert("L")).astype(float)[..., None] * 0.6 + 50
    hue = np.array([50.0, -25.5, 0.0])  # of no brightness
    red, green = (seen(np.clip(grey + sign * hue, 0, 255).astype(np.uint8)) for sign in (1, -1))
    assert likeness(red.grey.astype(np.float32), green.grey.astype(np.float32)) >= ALIKE
    assert group_marks([red, green, red]) == [[0, 2], [1]]


def test_likeness_is_highest_for_the_same_and_low_for_others():
    stamps = [seen(scene(k)).grey.astype(np.float32) for k in range(8)]
    assert likeness(stamps[0], stamps[0]) == pytest.approx(2, abs=1e-4)
    assert max(likeness(stamps[0], other) for other in stamps[1:]) < ALIKE - 0.2


def seen(photo):
    small = np.asarray(Image.fromarray(photo).resize((32, 32), Image.Resampling.BOX))
    colour = small.reshape(8, 4, 8, 4, 3).mean((1, 3)).astype(np.uint8)
    return Mark(np.asarray(Image.fromarray(small).convert("L")), colour)


def test_blocks_find_the_pairs_that_a_plain_loop_finds(monkeypatch):
    monkeypatch.setattr(module, "_BLOCK", 3)
    colours = np.random.default_rng(0).normal(0, 1, (20, 4)).astype(np.float32)
    colours /= np.linalg.norm(colours, axis=1, keepdims=True)
    expected = set()
    for a in range(20):
        near = sorted(range(a + 1, 20), key=lambda b: -float(colours[a] @ colours[b]))[:8]
        expected |= {(a, b) for b in near if colours[a] @ colours[b] >= 0.75}
    assert set(module._neighbours(colours)) == expected
    assert expected


def test_of_very_many_photographs_still_the_plainest_copies_are_found(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST_COMPARED", 3)
    photos = fill(tmp_path)
    photos["copy"] = tmp_path / "copy.jpg"
    write_image(photos["copy"], scene(3), quality=90)
    assert ["3", "copy"] in near_copies(photos)


def test_a_turned_photograph_is_seen_upright(tmp_path):
    photo = scene(0, (64, 96))
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(photo)).save(tmp_path / "turned.png", exif=exif)
    Image.fromarray(photo).save(tmp_path / "plain.png")
    turned, plain = (read_thumbnail(tmp_path / name, 32).astype(int) for name in ("turned.png", "plain.png"))
    assert np.abs(turned - plain).max() <= 1  # Pillow rounds between the two directions


def test_a_thumbnail_of_a_large_jpeg_is_that_of_all_its_pixels(tmp_path):
    write_image(tmp_path / "large.jpg", scene(1, (600, 900)))
    whole = Image.fromarray(read_image(tmp_path / "large.jpg")).resize((32, 32), Image.Resampling.BOX)
    small = read_thumbnail(tmp_path / "large.jpg", 32)
    assert np.abs(small.astype(int) - np.asarray(whole)).mean() < 1.5


def test_a_thumbnail_of_what_is_no_photograph_is_refused(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"none")
    Image.new("I;16", (9, 9)).save(tmp_path / "b.png")
    for name in ("a.jpg", "b.png"):
        with pytest.raises(DataError):
            read_thumbnail(tmp_path / name, 32)


def count_reads(monkeypatch):
    reads = []
    read = photo_marks.read_thumbnail
    monkeypatch.setattr(photo_marks, "read_thumbnail", lambda path, side: reads.append(path.name) or read(path, side))
    return reads


def test_remembered_photographs_are_not_read_again_until_they_change(tmp_path, monkeypatch):
    photos = fill(tmp_path)
    cache = tmp_path / MARKS_NAME
    reads = count_reads(monkeypatch)
    first = near_copies(photos, cache=cache)
    assert near_copies(photos, cache=cache) == first == near_copies(photos)
    assert len(reads) == 12
    write_image(photos["2"], cropped(scene(4)))
    reads.clear()
    assert ["2", "4"] in near_copies(photos, cache=cache)
    assert reads == ["2.png"]
    photos.pop("4")
    assert near_copies(photos, cache=cache) == [[k] for k in "01235"]
    assert reads == ["2.png"]
    assert "4.png" not in json.loads(cache.read_text())["files"]


def test_a_data_set_that_is_moved_keeps_what_is_remembered(tmp_path, monkeypatch):
    first = near_copies(fill(tmp_path / "a"), cache=tmp_path / "a" / MARKS_NAME)
    (tmp_path / "a").rename(tmp_path / "b")
    reads = count_reads(monkeypatch)
    photos = {str(k): tmp_path / "b" / f"{k}.png" for k in range(6)}
    assert near_copies(photos, cache=tmp_path / "b" / MARKS_NAME) == first
    assert reads == []


@pytest.mark.parametrize("content", ["", "{", "[]", '{"recam": 99}', '{"recam": 1, "files": [], "groups": 3}', "mine"])
def test_a_damaged_file_counts_as_empty(tmp_path, content):
    photos = fill(tmp_path)
    cache = tmp_path / MARKS_NAME
    cache.write_text(content)
    assert near_copies(photos, cache=cache) == near_copies(photos)


@pytest.mark.parametrize("wrong", [None, [], [1, 2, 3, 4], "text", ["", "", "!", ""]])
def test_a_damaged_entry_is_read_anew(tmp_path, wrong):
    photos = fill(tmp_path, 2)
    cache = tmp_path / MARKS_NAME
    near_copies(photos, cache=cache)
    content = json.loads(cache.read_text())
    good = content["files"]["0.png"]
    for entry in (wrong, [*good[:2], wrong, good[3]], [*good[:2], "QUJD", 7]):
        content["files"]["0.png"], content["groups"] = entry, {}
        cache.write_text(json.dumps(content))
        assert near_copies(photos, cache=cache) == [["0"], ["1"]]
        assert json.loads(cache.read_text())["files"]["0.png"][:3] == good[:3]


@pytest.mark.parametrize("content", ['{"mine": 1}', "[1, 2]"])
def test_somebody_elses_file_of_that_name_stays(tmp_path, content):
    photos = fill(tmp_path, 2)
    cache = tmp_path / MARKS_NAME
    cache.write_text(content)
    assert near_copies(photos, cache=cache) == [["0"], ["1"]]
    assert cache.read_text() == content


def test_where_nothing_can_be_written_the_result_is_the_same(tmp_path, monkeypatch):
    photos = fill(tmp_path)
    write_image(photos["0"], halved(scene(5)))

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("recam_cli.core.runs.files._open_new", refuse)
    assert near_copies(photos, cache=tmp_path / MARKS_NAME) == near_copies(photos)
    assert not [p for p in tmp_path.iterdir() if p.suffix != ".png"]


def test_files_are_hashed_only_where_sizes_are_equal(tmp_path):
    for name, content in (("a", b"12"), ("b", b"34"), ("c", b"5")):
        (tmp_path / name).write_bytes(content)
    marks = read_marks([tmp_path / name for name in "abc"], MarkFile(None))
    assert [bool(mark.sha256) for mark in marks] == [True, True, False]
    assert marks[0].sha256 != marks[1].sha256
