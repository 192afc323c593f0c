from __future__ import annotations

import typing
from pathlib import Path

import pytest

from recam_cli.core.data.registry import DATASETS, available_splits, data_root, labelled_split, open_dataset
from recam_cli.core.errors import DataError, UsageError
from recam_cli.core.settings.groups import DatasetName, DataSettings
from tests.helpers.tiny_data import make_custom, make_flat, make_folder, make_voc

MAKERS = [("custom", make_custom), ("voc", make_voc), ("folder", make_folder), ("folder", make_flat)]


def test_every_name_of_the_settings_has_its_reader():
    assert set(DATASETS) == set(typing.get_args(DatasetName))


@pytest.mark.parametrize(("name", "make"), MAKERS)
def test_every_data_set_gives_the_same_kind_of_samples(tmp_path, name, make):
    settings = DataSettings(dataset=name, data_root=make(tmp_path, n=9))
    assert available_splits(settings)[:2] == ("train", "val")
    for split in available_splits(settings):
        image_set = open_dataset(settings, split)
        assert (image_set.name, image_set.split) == (name, split)
        assert len({s.id for s in image_set}) == len(image_set) > 0
        for sample in image_set:
            assert sample.image.is_file()
            assert sample.labels == tuple(sorted(set(sample.labels)))
            assert all(0 <= k < len(image_set.classes) for k in sample.labels)
        assert image_set.targets().sum() > 0


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("voc", "data/VOCdevkit/VOC2012"),
        ("voc", "data/VOC2012"),
        ("custom", "data/custom"),
        ("folder", "data/folder"),
    ],
)
def test_without_a_data_root_the_named_places_are_tried(tmp_path, monkeypatch, name, place):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="--data-root") as caught:
        data_root(DataSettings(dataset=name))
    assert place in str(caught.value)
    assert ("--download" in str(caught.value)) == (name == "voc")
    dict(MAKERS)[name](Path(place)) if name != "folder" else make_folder(Path(place))
    assert data_root(DataSettings(dataset=name)) == Path(place)
    assert len(open_dataset(DataSettings(dataset=name), "train"))


def test_a_wrong_data_root_says_what_belongs_there(tmp_path):
    with pytest.raises(DataError, match=r"gone.*JPEGImages/.*labels\.csv there"):
        data_root(DataSettings(dataset="custom", data_root=tmp_path / "gone"))
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="not a folder"):
        data_root(DataSettings(dataset="custom", data_root=tmp_path / "file"))


def test_a_missing_label_file_is_named_before_anything_is_read(tmp_path):
    settings = DataSettings(dataset="custom", data_root=make_custom(tmp_path), labels=tmp_path / "gone.csv")
    with pytest.raises(DataError, match=r"gone\.csv: no such label file"):
        open_dataset(settings, "train")


def test_shapes_need_no_folder_and_take_no_label_file(tmp_path):
    settings = DataSettings(dataset="shapes", data_root=tmp_path / "new")
    assert data_root(settings) == tmp_path / "new"
    assert available_splits(settings) == ("train", "val")
    (tmp_path / "l.csv").touch()
    with pytest.raises(UsageError, match="--labels does not go with"):
        open_dataset(DataSettings(dataset="shapes", data_root=tmp_path, labels=tmp_path / "l.csv"), "train")


def test_masks_are_made_for_all_photographs_where_recam_holds_some_out(tmp_path):
    def split_of(name, root, split="train"):
        return labelled_split(DataSettings(dataset=name, data_root=root), split)

    own = make_folder(tmp_path / "own")
    assert (split_of("folder", own), split_of("folder", own, "val")) == ("all", "val")
    make_folder(tmp_path / "given" / "train")
    make_folder(tmp_path / "given" / "val")
    assert split_of("folder", tmp_path / "given") == "train"
    assert split_of("custom", make_custom(tmp_path / "custom")) == "train"
    assert split_of("shapes", tmp_path / "shapes") == "train"
    with pytest.raises(DataError):
        split_of("folder", tmp_path / "missing")
