"""Ids and file names of data, whatever they are, never lead a command to a file outside its folders."""

from __future__ import annotations

import json
import shutil

import pytest

from recam_cli.core.data.images import write_image
from tests.helpers.kills import drive
from tests.helpers.tiny_data import draw_photo, make_custom, make_folder, make_voc
from tests.helpers.tiny_run import add_segmenter, make_run, record_classifier

IDS = ("../x", "/tmp/recam-x", "..", "a\\b", "x\x1b[2Jy")
TRAIN = ["train-cls", "--run", "run", "--backbone", "mobilenet_v2", "--weights", "none", "--workers", 0]
TRAIN += ["--probe-sides", 32]


def everything(folder):
    """Return what lies in and beside the folder, but for what the test's own process printed."""
    return {p: p.stat().st_mtime_ns for p in folder.parent.rglob("*") if p.is_file() and p.name != "printed.txt"}


def refused(place, *arguments):
    """Run the command; it ends with 3, one plain line and no file, neither here nor beside."""
    before = everything(place)
    ended = drive(place, *arguments)
    assert ended.code == 3, ended.text
    assert "Traceback" not in ended.text and "\x1b" not in ended.text
    assert len([line for line in ended.text.splitlines() if line.startswith("recam: ")]) == 1
    assert everything(place) == before
    return ended.text


@pytest.fixture
def place(tmp_path):
    """Give a folder to work in, beside a photograph that a hostile id points to."""
    write_image(tmp_path / "x.jpg", draw_photo((0,))[0])
    write_image(tmp_path / "x.png", draw_photo((0,))[0])
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


@pytest.mark.parametrize("image_id", IDS)
@pytest.mark.parametrize("where", ["list", "csv", "json"])
def test_hostile_ids_of_a_custom_data_set_are_refused(place, image_id, where):
    data = make_custom(place / "data")
    if where == "list":
        with (data / "ImageSets" / "Segmentation" / "train.txt").open("a") as file:
            file.write(f"{image_id}\n")
    elif where == "csv":
        with (data / "labels.csv").open("a") as file:
            file.write(f'"{image_id}",bus\n')
    else:
        (data / "labels.csv").unlink()
        names = {f"img_{i:03d}": ["bus"] for i in range(6)}
        (data / "labels.json").write_text(json.dumps(names | {image_id: ["cat"]}))
    text = refused(place, *TRAIN, "--dataset", "custom", "--data-root", "data")
    assert "Ids are plain file names, without folders" in text


@pytest.mark.parametrize("image_id", ["../x", "/tmp/recam-x"])
def test_hostile_ids_of_a_flat_folder_are_refused(place, image_id):
    make_folder(place / "data")
    write_image(place / "flat" / "a.jpg", draw_photo((0,))[0])
    (place / "flat" / "labels.csv").write_text(f"image,labels\na.jpg,bus\n{image_id}.jpg,cat\n")
    refused(place, *TRAIN, "--dataset", "folder", "--data-root", "flat")


@pytest.mark.parametrize(
    "line", ["/JPEGImages/../../x.jpg /SegmentationClassAug/../../x.png", "../x", "/JPEGImages//tmp/x.jpg"]
)
def test_hostile_paths_of_vocs_train_aug_list_are_refused(place, line):
    data = make_voc(place / "VOC2012", aug=True)
    with (data / "ImageSets" / "SegmentationAug" / "train_aug.txt").open("a") as file:
        file.write(f"{line}\n")
    refused(place, *TRAIN, "--dataset", "voc", "--data-root", "VOC2012", "--split", "train_aug")


def test_the_file_name_in_a_voc_annotation_is_never_followed(place):
    from recam_cli.core.data.voc import open_voc

    data = make_voc(place / "VOC2012")
    for path in (data / "Annotations").glob("*.xml"):
        text = path.read_text().replace("<filename>", "<folder>../..</folder><path>/etc/passwd</path><filename>../../")
        assert "../../2007" in text
        path.write_text(text)
    samples = open_voc(data, "train").samples
    assert len(samples) == 4
    assert all(sample.image.parent == data / "JPEGImages" for sample in samples)


@pytest.mark.parametrize("image_id", IDS)
def test_hostile_ids_to_score_are_refused(place, image_id):
    data = make_custom(place / "data")
    shutil.copytree(data / "SegmentationClass", place / "masks")
    (place / "ids.txt").write_text(f"img_000\n{image_id}\n")
    folders = ("--pred-dir", "masks", "--truth-dir", "data/SegmentationClass")
    text = refused(place, "evaluate", *folders, "--id-list", "ids.txt", "--classes", "data/classes.txt")
    assert "ids.txt: id" in text


def test_a_split_cannot_name_a_list_elsewhere(place):
    make_custom(place / "data")
    (place / "x.txt").write_text("img_000\n")
    refused(place, *TRAIN, "--dataset", "custom", "--data-root", "data", "--split", "../../../x")


def made_since(place, before):
    return sorted(str(p.relative_to(place.parent)) for p in everything(place) if p not in before)


def test_pictures_of_photographs_elsewhere_stay_in_the_run(place):
    run = make_run(place, masks=False, method="cam")
    write_image(place.parent / "...jpg", draw_photo((0,))[0])
    before = everything(place)
    photos = ["../x.jpg", str(place.parent / "x.jpg"), "data/../../x.png", "../...jpg"]
    ended = drive(place, "visualize", *photos, "--run", run.path, "--refine", "none", "--device", "cpu")
    assert ended.code == 0, ended.text
    made = made_since(place, before)
    assert made and all(name.startswith("here/run/visualize/") for name in made)


def test_masks_of_photographs_elsewhere_stay_in_their_folder(place):
    run = record_classifier(place / "run")
    add_segmenter(run)
    before = everything(place)
    ended = drive(place, "predict", "../x.jpg", "--out", "masks", "--run", "run", "--device", "cpu")
    assert ended.code == 0, ended.text
    assert made_since(place, before) == ["here/masks/x.png"]
    refused(place, "predict", "../../nowhere.jpg", "--out", "masks", "--run", "run", "--device", "cpu")
