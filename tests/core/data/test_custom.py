from __future__ import annotations

import json

import pytest
from PIL import Image

from recam_cli.core.data.custom import custom_splits, open_custom
from recam_cli.core.errors import DataError
from tests.helpers.real_data import msrc_root
from tests.helpers.tiny_data import make_custom, tiny_ids, tiny_labels


def add_ids(root, *lines, split="train"):
    with (root / "ImageSets" / "Segmentation" / f"{split}.txt").open("a", encoding="utf-8") as file:
        file.write("".join(f"{line}\n" for line in lines))


def test_samples_come_in_the_order_of_the_list_with_labels_and_masks(tmp_path):
    root = make_custom(tmp_path, n=6, splits={"train": [4, 0, 2], "val": [1]})
    image_set = open_custom(root, "train")
    ids, labels = tiny_ids(6), tiny_labels(6)
    assert [s.id for s in image_set] == [ids[4], ids[0], ids[2]]
    assert [s.labels for s in image_set] == [labels[4], labels[0], labels[2]]
    assert image_set.classes == ("bus", "cat", "dog")
    assert image_set.samples[0].image == root / "JPEGImages" / f"{ids[4]}.jpg"
    assert image_set.samples[0].mask == root / "SegmentationClass" / f"{ids[4]}.png"
    assert len(open_custom(root, "val")) == 1
    assert custom_splits(root) == ("train", "val")


def test_masks_are_optional(tmp_path):
    assert all(s.mask is None for s in open_custom(make_custom(tmp_path, masks=False), "train"))


@pytest.mark.parametrize("suffix", [".png", ".JPG", ".webp", ".tif"])
def test_photographs_may_be_of_any_type(tmp_path, suffix):
    root = make_custom(tmp_path, n=3)
    for path in sorted((root / "JPEGImages").iterdir()):
        image = Image.open(path)
        image.load()
        path.unlink()
        image.save(path.with_suffix(suffix))
    assert [s.image.suffix for s in open_custom(root, "train")] == [suffix] * 2


def test_lists_may_hold_file_names_blank_lines_and_windows_line_ends(tmp_path):
    root = make_custom(tmp_path, n=3, splits={})
    (root / "ImageSets" / "Segmentation" / "train.txt").write_bytes(b"\xef\xbb\xbfimg_000.jpg\r\n\r\n img_001 \r\n")
    assert [s.id for s in open_custom(root, "train")] == ["img_000", "img_001"]


def test_without_classes_txt_the_labels_name_the_classes_of_all_splits(tmp_path):
    root = make_custom(tmp_path, n=6, splits={"train": [0]})
    (root / "classes.txt").unlink()
    assert open_custom(root, "train").classes == ("bus", "cat", "dog")


def test_labels_may_be_json_or_lie_elsewhere(tmp_path):
    root = make_custom(tmp_path / "set", n=3)
    (root / "labels.csv").unlink()
    elsewhere = tmp_path / "mine.json"
    elsewhere.write_text(json.dumps({i: ["dog"] for i in tiny_ids(3)}), encoding="utf-8")
    with pytest.raises(DataError, match=r"no labels\.csv or labels\.json"):
        open_custom(root, "train")
    assert open_custom(root, "train", labels=elsewhere).samples[0].labels == (2,)


def test_images_declared_to_show_no_class_are_read(tmp_path):
    root = make_custom(tmp_path, n=3)
    (root / "labels.csv").write_text("image,labels\nimg_000,\nimg_001,cat\n", encoding="utf-8")
    assert [s.labels for s in open_custom(root, "train")] == [(), (1,)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("../JPEGImages/img_000", r"line 5: id .* names a folder"),
        ("/etc/passwd", r"line 5: id .* names a folder"),
        ("..", "begins with a dot"),
        ("img_000", "line 5: image 'img_000' is listed twice"),
        ("IMG_000", "line 5: image 'IMG_000' is listed twice"),
        ("img_0000", r"JPEGImages.img_0000: no such photograph\. Did you mean 'img_000'\?"),
        ("Img_005", r"no such photograph\. Did you mean 'img_005'\?"),
        ("notes", r"notes\.txt is not of a photograph's type"),
    ],
)
def test_listed_ids_that_cannot_be_used_are_refused(tmp_path, line, message):
    root = make_custom(tmp_path)
    (root / "JPEGImages" / "notes.txt").touch()
    add_ids(root, line)
    with pytest.raises(DataError, match=message):
        open_custom(root, "train")


@pytest.mark.parametrize("twin", ["img_000.png", "IMG_000.jpg", "Img_000.JPG"])
def test_photographs_that_would_share_seeds_and_masks_are_refused(tmp_path, twin):
    root = make_custom(tmp_path)
    (root / "JPEGImages" / twin).touch()
    with pytest.raises(DataError, match="would share the files of one image"):
        open_custom(root, "train")


def test_all_problems_reach_a_listener_and_the_sound_samples_remain(tmp_path):
    root = make_custom(tmp_path)
    add_ids(root, "gone", "../x", "img_000")
    (root / "labels.csv").write_text("image,labels\nimg_000,bus zebra\nimg_001,cat\nimg_002,\n", encoding="utf-8")
    told = []
    image_set = open_custom(root, "train", tell=told.append)
    assert [s.id for s in image_set] == tiny_ids(4)
    assert [s.labels for s in image_set] == [(0,), (1,), (), ()]
    reasons = " | ".join(p.reason for p in told)
    for part in (
        "no such photograph",
        "names a folder",
        "listed twice",
        "zebra",
        "no labels for image 'img_003'",
    ):
        assert part in reasons
    assert len(told) == 6 - 1


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        ("JPEGImages", "JPEGImages: no such folder"),
        ("ImageSets", r"no list of the split 'train'\. Write the ids"),
        ("labels.csv", "name a file with --labels"),
    ],
)
def test_what_is_missing_is_named(tmp_path, gone, message):
    root = make_custom(tmp_path)
    (root / gone).rename(root / "away")
    with pytest.raises(DataError, match=message):
        open_custom(root, "train")


def test_a_mistyped_split_gets_a_suggestion_and_cannot_lead_out(tmp_path):
    root = make_custom(tmp_path)
    with pytest.raises(DataError, match=r"Did you mean 'train'\?"):
        open_custom(root, "trian")
    with pytest.raises(DataError, match=r"It has train, val"):
        open_custom(root, "../../../secret")


def test_real_photographs_are_read():
    image_set = open_custom(msrc_root(), "train")
    assert (len(image_set), len(image_set.classes)) == (301, 14)
    assert len(image_set.with_masks()) == 301
    assert image_set.targets().sum(axis=0).min() > 0
