"""What a folder is told to be, and what is said where it is nothing known or two things at once."""

from __future__ import annotations

import shutil

import pytest

from recam_cli.core.data.images import write_image
from recam_cli.core.data.recognise import recognise
from recam_cli.core.data.registry import open_dataset
from recam_cli.core.data.unlabelled import unlabelled_photos
from recam_cli.core.errors import DataError
from recam_cli.core.settings.groups import DataSettings
from tests.helpers.layouts import make_coco, make_yolo
from tests.helpers.tiny_data import draw_photo, make_custom, make_flat, make_folder, make_voc


def make_split_folders(root):
    make_folder(root / "train")
    make_folder(root / "val", 3)
    return root


def yolo(root):
    return make_yolo(root, {"images/train/a": [0], "images/val/b": [1]})


def coco(root):
    return make_coco(root, {"train2017": {"a.jpg": [1]}, "val2017": {"b.jpg": [3]}})


@pytest.mark.parametrize(
    ("make", "dataset", "why"),
    [
        (make_folder, "folder", "class folders bus, cat, dog"),
        (make_split_folders, "folder", "class folders bus, cat, dog in train/ and val/"),
        (make_flat, "folder", "photographs and labels.csv"),
        (make_custom, "custom", "JPEGImages/, ImageSets/ and labels.csv"),
        (make_voc, "voc", "JPEGImages/, Annotations/, ImageSets/"),
        (yolo, "yolo", "images/train/, labels/train/, images/val/, labels/val/"),
        (coco, "coco", "annotations/instances_train2017.json, annotations/instances_val2017.json"),
    ],
)
def test_every_layout_is_recognised_and_can_be_opened(tmp_path, make, dataset, why):
    found = recognise(make(tmp_path / "photos"))
    assert (found.dataset, found.why, found.labels) == (dataset, why, None)
    assert len(open_dataset(DataSettings(dataset=found.dataset, data_root=found.root), "train"))


@pytest.mark.parametrize("inner", ["VOCdevkit/VOC2012", "VOC2012", "VOC2007", "VOCdevkit/VOC2007"])
def test_a_devkit_is_found_in_the_folders_that_hold_it(tmp_path, inner):
    make_voc(tmp_path / inner)
    found = recognise(tmp_path)
    assert found.dataset == "voc"
    root = found.root
    assert open_dataset(DataSettings(dataset="voc", data_root=root), "train").root == tmp_path / inner


def test_two_devkits_are_named(tmp_path):
    make_voc(tmp_path / "VOC2007")
    make_voc(tmp_path / "VOC2010")
    with pytest.raises(DataError, match=r"VOC2007.* or .*VOC2010.*Name one of the folders"):
        recognise(tmp_path)


def test_a_table_of_another_name_is_found_by_its_column(tmp_path):
    make_flat(tmp_path)
    (tmp_path / "labels.csv").rename(tmp_path / "mine.csv")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    found = recognise(tmp_path)
    assert (found.dataset, found.labels) == ("folder", tmp_path / "mine.csv")
    shutil.copyfile(tmp_path / "mine.csv", tmp_path / "second.csv")
    with pytest.raises(DataError, match=r"mine\.csv.*second\.csv.*--labels"):
        recognise(tmp_path)


def test_a_named_label_file_settles_the_layout(tmp_path):
    make_flat(tmp_path / "photos")
    table = (tmp_path / "photos" / "labels.csv").rename(tmp_path / "mine.csv")
    assert recognise(tmp_path / "photos", table).labels == table
    make_custom(tmp_path / "custom")
    assert recognise(tmp_path / "custom", table).dataset == "custom"


def test_a_folder_that_can_be_two_things_is_named_with_the_way_out(tmp_path):
    coco(yolo(tmp_path / "a"))
    with pytest.raises(DataError, match=r"coco \(.*yolo \(.*--dataset coco or --dataset yolo"):
        recognise(tmp_path / "a")
    root = make_voc(make_custom(tmp_path / "b"))
    with pytest.raises(DataError, match="--dataset custom or --dataset voc"):
        recognise(root)
    root = make_folder(tmp_path / "c")
    (root / "labels.csv").write_text("image,labels\n")
    with pytest.raises(DataError, match=r"labels\.csv\) or folder \(class folders"):
        recognise(root)


def test_where_nothing_is_recognised_it_says_what_lies_there_and_shows_both_layouts(tmp_path):
    write_image(tmp_path / "a.jpg", draw_photo((0,))[0])
    (tmp_path / "notes.txt").touch()
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"1 photographs; empty/; notes\.txt") as caught:
        recognise(tmp_path)
    assert "photos/cat/1.jpg" in str(caught.value)
    assert "labels.csv (image,labels; 1.jpg,cat;dog)" in str(caught.value)
    with pytest.raises(DataError, match="it holds nothing"):
        recognise(tmp_path / "empty")
    with pytest.raises(DataError, match="no such folder"):
        recognise(tmp_path / "gone")
    with pytest.raises(DataError, match="not a folder"):
        recognise(tmp_path / "a.jpg")


def test_photographs_nobody_labelled_are_those_without_a_row_or_loose_beside_class_folders(tmp_path):
    flat = make_flat(tmp_path / "flat", 3)
    folders = make_folder(tmp_path / "folders", 3)
    assert unlabelled_photos("folder", flat) == unlabelled_photos("folder", folders) == []
    for root in (flat, folders):
        write_image(root / "new.JPG", draw_photo((0,))[0])
        assert unlabelled_photos("folder", root) == [root / "new.JPG"]
        assert unlabelled_photos("yolo", root) == []
    (flat / "labels.csv").rename(tmp_path / "mine.csv")
    assert unlabelled_photos("folder", flat, tmp_path / "mine.csv") == [flat / "new.JPG"]
