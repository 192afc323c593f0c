from __future__ import annotations

import shutil

import pytest

from recam_cli.core.data.voc import VOC_CLASSES, devkit_root, open_voc, voc_splits
from recam_cli.core.errors import DataError
from tests.helpers.tiny_data import annotation_xml, make_voc, tiny_labels


@pytest.fixture
def voc(tmp_path):
    return make_voc(tmp_path / "VOCdevkit" / "VOC2012", aug=True)


def annotate(root, *objects, image="2007_000000"):
    (root / "Annotations" / f"{image}.xml").write_text(annotation_xml(image, objects), encoding="utf-8")


def test_the_classes_are_the_20_in_alphabetical_order():
    assert len(VOC_CLASSES) == 20
    assert list(VOC_CLASSES) == sorted(VOC_CLASSES)


def test_labels_come_from_the_annotations(voc):
    image_set = open_voc(voc, "train")
    assert [s.id for s in image_set] == [f"2007_{i:06d}" for i in range(4)]
    assert [s.labels for s in image_set] == tiny_labels(4)
    assert image_set.classes == VOC_CLASSES
    assert image_set.samples[1].mask == voc / "SegmentationClass" / "2007_000001.png"


def test_difficult_objects_count_as_in_the_published_labels(voc):
    annotate(voc, ("dog", True), ("cat", False))
    assert open_voc(voc, "train").samples[0].labels == (7, 11)
    assert open_voc(voc, "train", difficult=False).samples[0].labels == (7,)


def test_an_image_keeps_its_only_objects_however_difficult(voc):
    annotate(voc, ("dog", True), ("cat", True))
    assert open_voc(voc, "train", difficult=False).samples[0].labels == (7, 11)


def test_an_image_without_objects_has_no_label(voc):
    annotate(voc)
    assert open_voc(voc, "train").samples[0].labels == ()


def test_a_label_file_replaces_the_annotations(voc, tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("image,labels\n" + "".join(f"2007_{i:06d},sofa train\n" for i in range(6)), encoding="utf-8")
    assert open_voc(voc, "val", labels=path).samples[0].labels == (17, 18)


def test_without_annotations_a_label_file_of_the_root_serves(voc):
    shutil.rmtree(voc / "Annotations")
    with pytest.raises(DataError, match=r"no image-level labels.*Annotations/.*--labels"):
        open_voc(voc, "train")
    (voc / "labels.csv").write_text("image,labels\n" + "".join(f"2007_{i:06d},cow\n" for i in range(4)))
    assert open_voc(voc, "train").samples[0].labels == (9,)


@pytest.mark.parametrize("levels", [0, 1, 2])
def test_the_root_may_be_the_devkit_or_the_folder_around_it(voc, levels):
    root = [voc, voc.parent, voc.parent.parent][levels]
    assert devkit_root(root) == voc
    assert len(open_voc(root, "train")) == 4
    assert voc_splits(root) == ("train", "val", "train_aug")


def test_train_aug_takes_its_masks_from_sbd_where_they_are(voc):
    (voc / "SegmentationClassAug" / "2007_000002.png").unlink()
    masks = [s.mask.parent.name for s in open_voc(voc, "train_aug")]
    assert masks == [
        "SegmentationClassAug",
        "SegmentationClassAug",
        "SegmentationClass",
        "SegmentationClassAug",
    ]
    assert {s.mask.parent.name for s in open_voc(voc, "train")} == {"SegmentationClass"}


@pytest.mark.parametrize(
    "line",
    [
        "2007_000001",
        "2007_000001.jpg",
        "/JPEGImages/2007_000001.jpg /SegmentationClassAug/2007_000001.png",
        "JPEGImages/2007_000001.jpg SegmentationClass/2007_000001.png",
    ],
)
@pytest.mark.parametrize("folder", ["Segmentation", "SegmentationAug"])
def test_the_train_aug_list_may_hold_ids_or_pairs_of_paths(tmp_path, line, folder):
    voc = make_voc(tmp_path)
    path = voc / "ImageSets" / folder / "train_aug.txt"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{line}\n\n", encoding="utf-8")
    assert [s.id for s in open_voc(voc, "train_aug")] == ["2007_000001"]
    assert voc_splits(voc) == ("train", "val", "train_aug")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "/JPEGImages/2007_000001.jpg /SegmentationClassAug/2007_000002.png",
            "line 1: image '2007_000001' with the mask",
        ),
        ("/JPEGImages/../x.jpg /SegmentationClassAug/../x.png", "names a folder"),
        ("/somewhere/2007_000001.jpg", "names a folder"),
    ],
)
def test_lines_of_the_train_aug_list_that_do_not_fit_are_refused(voc, line, message):
    (voc / "ImageSets" / "SegmentationAug" / "train_aug.txt").write_text(line, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        open_voc(voc, "train_aug")


def test_without_a_list_train_aug_is_what_has_sbd_masks_less_val(voc):
    shutil.rmtree(voc / "ImageSets" / "SegmentationAug")
    shutil.copy(voc / "SegmentationClass" / "2007_000005.png", voc / "SegmentationClassAug")
    assert "2007_000005" in {s.id for s in open_voc(voc, "val")}
    assert [s.id for s in open_voc(voc, "train_aug")] == [f"2007_{i:06d}" for i in range(4)]


def test_without_masks_and_list_train_aug_says_what_is_needed(tmp_path):
    with pytest.raises(DataError, match=r"no split train_aug.*train_aug\.txt.*SegmentationClassAug/"):
        open_voc(make_voc(tmp_path), "train_aug")


@pytest.mark.parametrize(("split", "hint"), [("test", "Choose one of train, val"), ("trainaug", "'train_aug'")])
def test_other_splits_are_refused(voc, split, hint):
    with pytest.raises(DataError, match=hint):
        open_voc(voc, split)


def test_unknown_objects_and_missing_annotations_are_problems_of_their_files(voc):
    annotate(voc, ("kat", False), ("cat", False))
    (voc / "Annotations" / "2007_000001.xml").unlink()
    told = []
    image_set = open_voc(voc, "train", tell=told.append)
    assert [s.labels for s in image_set][:2] == [(7,), ()]
    assert [(p.file.name, p.reason) for p in told] == [
        ("2007_000000.xml", "unknown object 'kat'"),
        ("2007_000001.xml", "no such annotation"),
    ]
    with pytest.raises(DataError, match=r"Did you mean 'cat'\?"):
        open_voc(voc, "train")
