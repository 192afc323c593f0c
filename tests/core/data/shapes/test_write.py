"""The data set on disk: same bytes for the same seed, resumed where cut short, never over other files."""

import hashlib
import json

import numpy as np
import pytest

from recam_cli.core.data.images import read_image, read_mask
from recam_cli.core.data.shapes import CLASSES, ShapesSpec, open_shapes, write
from recam_cli.core.errors import DataError

SPEC = ShapesSpec(seed=7, train=5, val=3, size=(64, 80))


def digests(root):
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("shapes") / "set"
    open_shapes(root, "train", SPEC)
    return root


def test_layout_is_that_of_a_custom_data_set(made):
    names = set(digests(made))
    ids = [f"train_{i:04d}" for i in range(5)] + [f"val_{i:04d}" for i in range(3)]
    lists = {f"ImageSets/Segmentation/{split}.txt" for split in ("train", "val")}
    files = {f"JPEGImages/{name}.jpg" for name in ids} | {f"SegmentationClass/{name}.png" for name in ids}
    assert names == files | lists | {"labels.csv", "classes.txt", "shapes.json"}
    assert (made / "classes.txt").read_text().split() == list(CLASSES)
    assert (made / "ImageSets/Segmentation/val.txt").read_text().split() == ids[5:]


def test_labels_masks_and_samples_agree(made):
    rows = dict(line.split(",") for line in (made / "labels.csv").read_text().splitlines()[1:])
    for split in ("train", "val"):
        images = open_shapes(made, split)
        assert (images.name, images.split, images.classes) == ("shapes", split, CLASSES)
        for sample in images.with_masks():
            mask = read_mask(sample.mask)
            assert read_image(sample.image).shape == (64, 80, 3)
            assert tuple(np.unique(mask[mask > 0]) - 1) == sample.labels
            assert [CLASSES[label] for label in sample.labels] == rows[sample.id].split()
    assert len(rows) == 8


def test_same_seed_gives_the_same_bytes_and_another_seed_other_pictures(made, tmp_path):
    open_shapes(tmp_path / "same", "val", SPEC)
    open_shapes(tmp_path / "other", "val", ShapesSpec(seed=8, train=5, val=3, size=(64, 80)))
    assert digests(tmp_path / "same") == digests(made)
    ours, theirs = digests(made), digests(tmp_path / "other")
    assert all(ours[name] != theirs[name] for name in ours if name.endswith(".jpg"))


def test_a_picture_does_not_depend_on_how_many_there_are(made, tmp_path):
    open_shapes(tmp_path / "more", "train", ShapesSpec(seed=7, train=6, val=3, size=(64, 80)))
    more = digests(tmp_path / "more")
    assert all(more[name] == digest for name, digest in digests(made).items() if name.endswith((".jpg", ".png")))


def test_generation_that_was_cut_short_goes_on_to_the_same_bytes(made, tmp_path, monkeypatch):
    drawn = []

    def interrupted(rng, spec):
        drawn.append(spec)
        if len(drawn) == 4:
            raise KeyboardInterrupt
        return render(rng, spec)

    render = write.render_scene
    monkeypatch.setattr(write, "render_scene", interrupted)
    root = tmp_path / "cut"
    with pytest.raises(KeyboardInterrupt):
        open_shapes(root, "train", SPEC)
    assert not (root / "shapes.json").exists()
    open_shapes(root, "train")
    assert len(drawn) == 4 + 8 - 3, "finished pictures are not drawn again"
    assert digests(root) == digests(made)


@pytest.mark.parametrize("name", ["JPEGImages/train_0001.jpg", "SegmentationClass/val_0000.png", "labels.csv"])
def test_a_lost_file_is_made_again(made, tmp_path, name):
    root = tmp_path / "copy"
    open_shapes(root, "train", SPEC)
    (root / name).unlink()
    open_shapes(root, "train", SPEC)
    assert digests(root) == digests(made)


def test_a_finished_set_is_opened_without_drawing(made, monkeypatch):
    monkeypatch.setattr(write, "render_scene", None)
    assert len(open_shapes(made, "train")) == 5
    assert len(open_shapes(made, "val", SPEC)) == 3


def test_record_tells_version_seed_and_counts(made):
    record = json.loads((made / "shapes.json").read_text())
    assert (record["seed"], record["train"], record["val"], record["size"]) == (7, 5, 3, [64, 80])
    assert record["generator"] >= 1
    assert sum(record["counts"]["train"].values()) == sum(len(s.labels) for s in open_shapes(made, "train"))


def test_a_folder_with_other_content_is_refused_and_left_alone(tmp_path):
    (tmp_path / "holiday.jpg").write_bytes(b"mine")
    with pytest.raises(DataError, match="holds other files"):
        open_shapes(tmp_path, "train", SPEC)
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "set").write_text("")
    with pytest.raises(DataError, match="not a folder"):
        open_shapes(tmp_path / "set", "train", SPEC)


def test_a_set_from_another_spec_is_refused(made):
    with pytest.raises(DataError, match=r"seed 7.*not seed 9"):
        open_shapes(made, "train", ShapesSpec(seed=9, train=5, val=3, size=(64, 80)))


@pytest.mark.parametrize(
    "text",
    ["{", "[]", "{}", '{"seed": 1.5, "train": 1, "val": 1, "size": [64, 64]}', '{"seed": -1, "train": 1}'],
)
def test_a_damaged_record_is_named(tmp_path, text):
    (tmp_path / "shapes.json").write_text(text)
    with pytest.raises(DataError, match=r"shapes\.json"):
        open_shapes(tmp_path, "train")


def test_a_set_from_another_generator_version_is_refused(tmp_path):
    (tmp_path / "shapes.json").write_text(json.dumps({**SPEC.as_dict(), "generator": 0}))
    with pytest.raises(DataError, match="generator version 0"):
        open_shapes(tmp_path, "train")


def test_an_unknown_split_is_refused(made):
    with pytest.raises(DataError, match="no split test"):
        open_shapes(made, "test")


@pytest.mark.parametrize(
    "change", [{"train": 10**9}, {"val": 10**400}, {"train": True}, {"size": [[64], 64]}, {"seed": 1e999}], ids=str
)
def test_a_record_of_endless_images_is_refused_before_any_is_drawn(tmp_path, change):
    record = {"generator": 2, "seed": 0, "train": 2, "val": 1, "size": [64, 64]} | change
    (tmp_path / "shapes.json").write_text(json.dumps(record))
    with pytest.raises(DataError, match=r"shapes\.json: not a record"):
        open_shapes(tmp_path, "train")
    (tmp_path / "shapes.json").write_text("[" * 100_000)
    with pytest.raises(DataError, match=r"shapes\.json: not a record"):
        open_shapes(tmp_path, "train")
