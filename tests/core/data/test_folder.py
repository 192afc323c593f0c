from __future__ import annotations

import numpy as np
import pytest

from recam_cli.core.data.folder import folder_splits, has_own_split, is_per_class, open_folder
from recam_cli.core.data.images import read_image, write_image, write_mask
from recam_cli.core.data.photo_marks import MARKS_NAME
from recam_cli.core.errors import DataError
from tests.helpers.tiny_data import draw_photo, make_flat, make_folder


def test_class_folders_give_one_label_each(tmp_path):
    image_set = open_folder(make_folder(tmp_path, n=6), "all")
    assert image_set.classes == ("bus", "cat", "dog")
    assert {s.id: s.labels for s in image_set} == {
        "bus__img_000": (0,),
        "bus__img_003": (0,),
        "cat__img_001": (1,),
        "cat__img_004": (1,),
        "dog__img_002": (2,),
        "dog__img_005": (2,),
    }
    assert all(s.image.is_file() and s.mask is None for s in image_set)


def test_equal_names_in_two_class_folders_are_two_images(tmp_path):
    for name in ("cat", "dog"):
        make_folder(tmp_path, n=1, classes=(name,))
    assert [s.id for s in open_folder(tmp_path, "all")] == ["cat__img_000", "dog__img_000"]


def test_classes_txt_sets_the_order(tmp_path):
    make_folder(tmp_path)
    (tmp_path / "classes.txt").write_text("dog\nzebra\ncat\nbus\n", encoding="utf-8")
    image_set = open_folder(tmp_path, "all")
    assert image_set.classes == ("dog", "zebra", "cat", "bus")
    assert {s.id: s.labels for s in image_set}["bus__img_000"] == (3,)


def test_a_flat_folder_takes_its_labels_from_the_csv(tmp_path):
    image_set = open_folder(make_flat(tmp_path, n=3), "all")
    assert [(s.id, s.labels) for s in image_set] == [
        ("img_000", (0,)),
        ("img_001", (1,)),
        ("img_002", (0, 2)),
    ]


def test_a_label_file_from_elsewhere_serves_a_flat_folder(tmp_path):
    root = make_flat(tmp_path / "photos", n=3)
    elsewhere = (root / "labels.csv").rename(tmp_path / "mine.csv")
    with pytest.raises(DataError, match=r"no labels\.csv"):
        open_folder(root, "all")
    assert len(open_folder(root, "all", labels=elsewhere)) == 3


def test_train_and_val_part_all_images_between_them(tmp_path):
    train, val = parts(make_folder(tmp_path, n=30))
    assert train and val
    assert folder_splits(tmp_path) == ("train", "val")
    assert has_own_split(tmp_path) and is_per_class(tmp_path)
    assert not is_per_class(make_flat(tmp_path / "flat", n=3))


def parts(root):
    train, val, everything = ({s.id: s for s in open_folder(root, name)} for name in ("train", "val", "all"))
    assert train.keys() | val.keys() == everything.keys()
    assert not train.keys() & val.keys()
    return train, val


def test_every_class_is_trained_on_and_held_out(tmp_path):
    make_folder(tmp_path, n=40, size=(24, 24))
    for k in range(3):
        (tmp_path / "dog" / f"img_{3 * k + 2:03d}.jpg").rename(tmp_path / f"moved_{k}.jpg")
    make_folder(tmp_path, n=2, classes=("rare",), seed=900)
    make_folder(tmp_path, n=1, classes=("single",), seed=950)
    for k in range(3):
        (tmp_path / f"moved_{k}.jpg").unlink()
    train, val = parts(tmp_path)
    number = {k: sum(s.labels == (k,) for s in val.values()) for k in range(5)}
    assert number == {0: 3, 1: 3, 2: 2, 3: 1, 4: 0}
    assert {s.labels for s in train.values()} == {(k,) for k in range(5)}


def test_copies_stay_on_one_side(tmp_path):
    make_flat(tmp_path, n=30)
    rows = (tmp_path / "labels.csv").read_text()
    for k in range(30):
        photo = read_image(tmp_path / f"img_{k:03d}.jpg")
        write_image(tmp_path / f"copy_{k}.jpg", photo, quality=90)
        rows += f"copy_{k},cat\n"
    (tmp_path / "labels.csv").write_text(rows)
    train, val = parts(tmp_path)
    assert val
    for k in range(30):
        assert (f"img_{k:03d}" in train) == (f"copy_{k}" in train)


def test_the_split_is_the_same_with_and_without_what_is_remembered(tmp_path):
    make_folder(tmp_path, n=30)
    first = parts(tmp_path)
    assert (tmp_path / MARKS_NAME).is_file()
    assert parts(tmp_path) == first
    (tmp_path / MARKS_NAME).unlink()
    assert parts(tmp_path) == first


def test_the_true_masks_change_no_split(tmp_path):
    first = [set(part) for part in parts(make_folder(tmp_path, n=30))]
    for image_id in sorted(first[0])[:9]:
        write_mask(tmp_path / "SegmentationClass" / f"{image_id}.png", np.ones((40, 48), np.uint8))
    assert [set(part) for part in parts(tmp_path)] == first


def test_a_broken_photograph_does_not_stop_the_reader(tmp_path):
    make_folder(tmp_path, n=6)
    (tmp_path / "cat" / "img_001.jpg").write_bytes(b"")
    train, val = parts(tmp_path)
    assert "cat__img_001" in train.keys() | val.keys()


@pytest.mark.parametrize("name", ["none", "Background", "_background_", "NEGATIVES", "empty"])
def test_a_folder_of_nothing_holds_photographs_without_a_class(tmp_path, name):
    make_folder(tmp_path, n=10, classes=("cat", name))
    image_set = open_folder(tmp_path, "all")
    assert image_set.classes == ("cat",)
    assert {s.id: s.labels for s in image_set} == {
        f"{('cat', name)[i % 2]}__img_{i:03d}": ((0,), ())[i % 2] for i in range(10)
    }
    train, val = parts(tmp_path)
    assert [sum(not s.labels for s in part.values()) for part in (train, val)] == [4, 1]


def test_a_folder_of_nothing_is_a_class_where_classes_txt_says_so(tmp_path):
    make_folder(tmp_path, n=4, classes=("cat", "empty"))
    (tmp_path / "classes.txt").write_text("cat\nempty\n")
    assert {s.labels for s in open_folder(tmp_path, "all")} == {(0,), (1,)}
    (tmp_path / "classes.txt").write_text("cat\nEmpty\n")
    with pytest.raises(DataError, match=r"unknown label 'empty'.*Did you mean 'Empty'"):
        open_folder(tmp_path, "all")


def test_split_folders_may_hold_folders_of_nothing(tmp_path):
    make_folder(tmp_path / "train", n=4, classes=("cat", "none"))
    make_folder(tmp_path / "val", n=2, classes=("cat", "nothing"))
    assert open_folder(tmp_path, "train").classes == open_folder(tmp_path, "val").classes == ("cat",)
    assert [(s.id, s.labels) for s in open_folder(tmp_path, "val")] == [
        ("val__cat__img_000", (0,)),
        ("val__nothing__img_001", ()),
    ]


def test_folders_of_nothing_alone_name_no_class(tmp_path):
    with pytest.raises(DataError, match="no class names"):
        open_folder(make_folder(tmp_path, n=2, classes=("none",)), "all")


def test_split_folders_are_taken_as_they_are(tmp_path):
    make_folder(tmp_path / "train", n=3)
    make_folder(tmp_path / "val", n=2)
    train, val = open_folder(tmp_path, "train"), open_folder(tmp_path, "val")
    assert [s.id for s in train] == ["train__bus__img_000", "train__cat__img_001", "train__dog__img_002"]
    assert [s.id for s in val] == ["val__bus__img_000", "val__cat__img_001"]
    assert train.classes == val.classes == ("bus", "cat", "dog")
    assert folder_splits(tmp_path) == ("train", "val")
    assert not has_own_split(tmp_path) and is_per_class(tmp_path)
    with pytest.raises(DataError, match="no split 'all'"):
        open_folder(tmp_path, "all")


def test_flat_split_folders_share_one_csv(tmp_path):
    make_flat(tmp_path / "train", n=4)
    (tmp_path / "val").mkdir()
    (tmp_path / "train" / "img_003.jpg").rename(tmp_path / "val" / "img_003.jpg")
    (tmp_path / "train" / "labels.csv").rename(tmp_path / "labels.csv")
    assert [s.id for s in open_folder(tmp_path, "train")] == ["img_000", "img_001", "img_002"]
    assert [s.id for s in open_folder(tmp_path, "val")] == ["img_003"]


def test_an_image_in_two_flat_split_folders_is_refused(tmp_path):
    make_flat(tmp_path / "train", n=2)
    make_flat(tmp_path / "val", n=1)
    (tmp_path / "train" / "labels.csv").rename(tmp_path / "labels.csv")
    with pytest.raises(DataError, match="has the id of"):
        open_folder(tmp_path, "train")


def test_a_split_folder_without_its_partner_is_explained_but_a_class_named_train_is_fine(tmp_path):
    make_folder(tmp_path / "a" / "train", n=3)
    with pytest.raises(DataError, match=r"train/ without val/.*--data-root"):
        open_folder(tmp_path / "a", "train")
    make_folder(tmp_path / "b", n=4, classes=("cat", "train"))
    assert open_folder(tmp_path / "b", "all").classes == ("cat", "train")


def test_masks_lie_beside_under_the_id(tmp_path):
    make_folder(tmp_path, n=1)
    path = tmp_path / "SegmentationClass" / "bus__img_000.png"
    write_mask(path, draw_photo((0,))[1])
    image_set = open_folder(tmp_path, "all")
    assert image_set.samples[0].mask == path
    assert image_set.classes == ("bus",)


@pytest.mark.parametrize("row", ["img_009,cat", "img_009.jpg,cat"])
def test_a_row_without_a_photograph_is_refused_and_a_photograph_without_a_row_left_out(tmp_path, row):
    make_flat(tmp_path, n=3)
    text = (tmp_path / "labels.csv").read_text()
    (tmp_path / "labels.csv").write_text(text + row + "\n")
    with pytest.raises(DataError, match="img_009: no such photograph"):
        open_folder(tmp_path, "all")
    (tmp_path / "labels.csv").write_text("\n".join(text.splitlines()[:-1]))
    told = []
    assert [s.id for s in open_folder(tmp_path, "all", tell=told.append)] == ["img_000", "img_001"]
    assert [(p.severity, p.reason[:14]) for p in told] == [("warning", "1 photographs ")]
    (tmp_path / "img_002.jpg").rename(tmp_path / "IMG_001.jpg")  # a row is meant for it
    with pytest.raises(DataError):
        open_folder(tmp_path, "all")


def test_a_folder_that_classes_txt_does_not_name_is_refused(tmp_path):
    make_folder(tmp_path)
    (tmp_path / "classes.txt").write_text("bus\ncats\ndog\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"unknown label 'cat'.*Did you mean 'cats'"):
        open_folder(tmp_path, "all")


def test_ids_that_coincide_across_folders_are_refused(tmp_path):
    make_folder(tmp_path, n=1, classes=("a",))
    (tmp_path / "a" / "img_000.jpg").rename(tmp_path / "a" / "b__c.jpg")
    make_folder(tmp_path, n=1, classes=("a__b",))
    (tmp_path / "a__b" / "img_000.jpg").rename(tmp_path / "a__b" / "c.jpg")
    with pytest.raises(DataError, match="has the id of"):
        open_folder(tmp_path, "all")


def test_what_is_passed_over_is_told(tmp_path):
    make_folder(tmp_path, n=3)
    (tmp_path / "cat" / "clip.gif").touch()
    (tmp_path / "cat" / "more").mkdir()
    (tmp_path / "cat" / ".DS_Store").touch()
    told = []
    open_folder(tmp_path, "all", tell=told.append)
    assert [(p.file.name, p.severity) for p in told] == [("cat", "warning")]
    assert "clip.gif, more/" in told[0].reason


def test_a_folder_of_neither_layout_says_what_is_expected(tmp_path):
    with pytest.raises(DataError, match=r"Make one folder per class, or add labels\.csv"):
        open_folder(tmp_path, "train")


def test_photographs_beside_class_folders_are_left_out_with_a_warning(tmp_path):
    make_folder(tmp_path)
    make_flat(tmp_path, n=1)
    (tmp_path / "labels.csv").unlink()
    told = []
    assert len(open_folder(tmp_path, "all", tell=told.append)) == 6
    assert [(p.severity, p.reason) for p in told] == [
        ("warning", "1 photographs lie beside class folders, so they train nothing: img_000.jpg")
    ]


def test_a_mistyped_split_gets_a_suggestion(tmp_path):
    with pytest.raises(DataError, match=r"Did you mean 'train'\?"):
        open_folder(make_folder(tmp_path), "tarin")
