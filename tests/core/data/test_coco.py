"""COCO's annotations as image-level labels: categories by ascending id, crowds counted, faults in one line."""

from __future__ import annotations

import json

import pytest

from recam_cli.core.data.coco import coco_splits, open_coco, read_instances
from recam_cli.core.data.images import write_image
from recam_cli.core.errors import DataError, UsageError
from tests.helpers.layouts import coco_content, make_coco
from tests.helpers.tiny_data import draw_photo

TRAIN = {"a.jpg": [10, 1], "b.jpg": [], "c.jpg": [3, 3]}


def test_splits_of_a_year_gaps_in_ids_crowds_and_negatives(tmp_path):
    root = make_coco(tmp_path, {"train2017": TRAIN, "val2017": {"d.jpg": [3]}})
    assert coco_splits(root) == ("train", "val")
    train = open_coco(root, "train")
    assert train.classes == ("bus", "dog", "traffic light")  # ids 1, 3, 10
    assert [(s.id, s.labels) for s in train] == [("a", (0, 2)), ("b", ()), ("c", (1,))]
    assert train.samples[0].image == root / "train2017" / "a.jpg"


@pytest.mark.parametrize("folder", ["images/{}", "images", "."])
def test_photographs_are_found_in_the_usual_folders(tmp_path, folder):
    root = make_coco(tmp_path, {"train": TRAIN, "val": {"d.jpg": [3]}}, folder)
    assert all(sample.image.is_file() for split in ("train", "val") for sample in open_coco(root, split))


def test_roboflow_annotations_beside_the_photographs(tmp_path):
    for split, images in {"train": TRAIN, "valid": {"d.jpg": [3]}}.items():
        for name in images:
            write_image(tmp_path / split / name, draw_photo((0,))[0])
        (tmp_path / split / "_annotations.coco.json").write_text(json.dumps(coco_content(images)))
    assert coco_splits(tmp_path) == ("train", "val")
    assert [s.id for s in open_coco(tmp_path, "val")] == ["d"]


def test_one_file_for_all_is_held_out_from_by_recam(tmp_path):
    images = {f"p{i}.jpg": [1] for i in range(10)}
    root = make_coco(tmp_path, {"default": images}, "images")
    assert coco_splits(root) == ("train", "val")
    ids = [name[:-4] for name in images]
    parts = {split: {s.id for s in open_coco(root, split)} for split in ("train", "val", "all")}
    assert 0 < len(parts["val"]) < len(parts["train"])
    assert parts["train"] | parts["val"] == parts["all"] == set(ids) and not parts["train"] & parts["val"]


def test_file_names_with_folders_become_ids_and_stay_inside(tmp_path):
    root = make_coco(tmp_path, {"train": {"x/a.jpg": [1], "x/b.jpg": [3]}, "val": {"d.jpg": [1]}})
    assert [s.id for s in open_coco(root, "train")] == ["x__a", "x__b"]
    path = root / "annotations" / "instances_train.json"
    for evil in ("../val/d.jpg", "/etc/passwd", "C:\\a.jpg"):
        content = coco_content({"x/a.jpg": [1], evil: [1]})
        path.write_text(json.dumps(content))
        with pytest.raises(DataError, match="leads out of its folder"):
            open_coco(root, "train")


def test_missing_photographs_are_told(tmp_path):
    root = make_coco(tmp_path, {"train": TRAIN, "val": {"d.jpg": [3]}})
    (root / "train" / "b.jpg").unlink()
    with pytest.raises(DataError, match="no such photograph"):
        open_coco(root, "train")
    for name in ("a.jpg", "c.jpg"):
        (root / "train" / name).unlink()
    with pytest.raises(DataError, match="its photographs are in none of"):
        open_coco(root, "train")


def test_parts_of_other_categories_are_refused(tmp_path):
    root = make_coco(tmp_path, {"train": TRAIN, "val": {"d.jpg": [3]}})
    content = coco_content({"d.jpg": []}, ids=(1, 2, 3))
    (root / "annotations" / "instances_val.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match="other categories"):
        open_coco(root, "train")
    with pytest.raises(UsageError, match="--labels"):
        open_coco(root, "train", labels=tmp_path / "labels.csv")


def test_two_years_of_one_split_are_refused(tmp_path):
    root = make_coco(tmp_path, {"train2014": TRAIN, "train2017": TRAIN})
    with pytest.raises(DataError, match="are the split train"):
        coco_splits(root)


def changed(**changes):
    return json.dumps({**coco_content(TRAIN), **changes})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not JSON"),
        ("[1, 2]", "no list 'categories'"),
        ("{}", "no list 'categories'"),
        ("[" * 100_000, "nested too deeply"),
        ('{"images": [], "categories": [], "annotations": []}', "no class names"),
        (changed(images="a.jpg"), "no list 'images'"),
        (changed(annotations=[3]), "no list 'annotations'"),
        (changed(images=[{"id": 1}]), r"images\[0\]: no file_name"),
        (changed(images=[{"id": None, "file_name": "a.jpg"}]), r"images\[0\]: id is no number"),
        (changed(images=[{"id": 1, "file_name": "a.jpg"}] * 2), r"images\[1\].*twice"),
        (changed(categories=[{"id": "1", "name": "a"}]), r"categories\[0\]: id is no number"),
        (changed(categories=[{"id": True, "name": "a"}]), r"categories\[0\]: id is no number"),
        (changed(categories=[{"id": 1, "name": "a"}] * 2), r"categories\[1\]: id 1 occurs twice"),
        (changed(categories=[{"id": 1, "name": " "}]), r"categories\[0\]: no name"),
        (changed(annotations=[{"image_id": 7, "category_id": 1}]), "image_id 7 is no image's"),
        (changed(annotations=[{"image_id": 100, "category_id": 2}]), "category_id 2 is no category's"),
        (changed(annotations=[{"image_id": [100], "category_id": 1}]), "image_id is no number"),
    ],
)
def test_malformed_files_are_one_line(tmp_path, text, says):
    path = tmp_path / "instances_train.json"
    path.write_text(text)
    with pytest.raises(DataError, match=says) as caught:
        read_instances(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_file_that_changes_is_read_anew(tmp_path):
    path = tmp_path / "instances_train.json"
    path.write_text(json.dumps(coco_content({"a.jpg": []})))
    assert len(read_instances(path).images) == 1
    path.write_text(json.dumps(coco_content({"a.jpg": [], "b.jpg": []})))
    assert len(read_instances(path).images) == 2
