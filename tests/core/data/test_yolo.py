"""YOLO's layouts: class numbers of boxes become image-level labels, whatever the names of the splits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recam_cli.core.data.yolo import open_yolo, read_label_file, yolo_splits
from recam_cli.core.data.yolo_names import read_names
from recam_cli.core.errors import DataError, UsageError
from tests.helpers.layouts import make_yolo

NAMES = ("bus", "traffic light", "dog")


def test_ultralytics_folders_give_splits_and_labels(tmp_path):
    root = make_yolo(tmp_path, {"images/train2017/a": [2, 0, 2], "images/train2017/b": [], "images/val2017/c": [1]})
    assert yolo_splits(root) == ("train", "val")
    train = open_yolo(root, "train")
    assert train.classes == NAMES
    assert [(s.id, s.labels) for s in train] == [("a", (0, 2)), ("b", ())]
    assert [(s.id, s.labels) for s in open_yolo(root, "val")] == [("c", (1,))]


def test_roboflow_folders_and_valid_is_val(tmp_path):
    root = make_yolo(tmp_path, {"train/images/a": [0], "valid/images/c": [1], "test/images/d": [2]})
    assert yolo_splits(root) == ("train", "val", "test")
    assert [s.labels for s in open_yolo(root, "test")] == [(2,)]


def test_without_splits_recam_holds_out_its_own(tmp_path):
    ids = [f"p{i}" for i in range(12)]
    root = make_yolo(tmp_path, {f"images/{i}": [k % 3] for k, i in enumerate(ids)})
    assert yolo_splits(root) == ("train", "val")
    parts = {split: {s.id for s in open_yolo(root, split)} for split in ("train", "val", "all")}
    assert 0 < len(parts["val"]) < len(parts["train"]) and not parts["train"] & parts["val"]
    assert parts["train"] | parts["val"] == parts["all"] == set(ids)


def test_lists_of_another_machine_name_the_photographs(tmp_path):
    root = make_yolo(tmp_path, {"images/a": [0], "images/b": [1], "images/c": [2]})
    (root / "train.txt").write_text("data/obj/a.jpg\nC:\\photos\\b.jpg\n")
    (root / "val.txt").write_text("data/obj/c.jpg\n")
    assert [s.id for s in open_yolo(root, "train")] == ["a", "b"]
    assert [s.id for s in open_yolo(root, "val")] == ["c"]


def test_a_photograph_without_label_file_shows_nothing_and_is_warned_of(tmp_path):
    root = make_yolo(tmp_path, {"images/train/a": [0], "images/train/b": None, "images/val/c": [1]})
    (root / "labels" / "train" / "lone.txt").write_text("0 .5 .5 1 1\n")
    told = []
    assert [s.labels for s in open_yolo(root, "train", tell=told.append)] == [(0,), ()]
    assert [problem.severity for problem in told] == ["warning"] * 2
    assert "1 photographs without a label file" in told[0].reason and "lone" in told[1].reason


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("cat 0.5 0.5 1 1\n", "line 1: begins with 'cat'"),
        ("0 0.5 0.5 1 1\n3 0.5 0.5 1 1\n", "line 2: class 3, but the names end at 2"),
        ("-1 0.5 0.5 1 1\n", "begins with '-1'"),
        ("1e9 0 0 0 0\n", "begins with '1e9'"),
        ("²\n", "begins with"),
    ],
)
def test_lines_that_name_no_class_are_told_in_one_line(tmp_path, text, says):
    path = tmp_path / "a.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=says) as caught:
        read_label_file(path, 3)
    assert "\n" not in str(caught.value)


def test_files_that_are_no_text_are_told(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="not UTF-8"):
        read_label_file(tmp_path / "a.txt", 3)
    (tmp_path / "b.txt").mkdir()
    with pytest.raises(DataError, match="cannot be read"):
        read_label_file(tmp_path / "b.txt", 3)


def test_two_folders_of_one_split_are_refused(tmp_path):
    root = make_yolo(tmp_path, {"images/val/a": [0], "images/valid/b": [0]})
    with pytest.raises(DataError, match="are the split val"):
        yolo_splits(root)


def test_a_label_table_and_unknown_splits_are_refused(tmp_path):
    root = make_yolo(tmp_path, {"images/train/a": [0], "images/val/b": [0]})
    with pytest.raises(UsageError, match="--labels"):
        open_yolo(root, "train", labels=tmp_path / "labels.csv")
    with pytest.raises(DataError, match="Did you mean 'train'"):
        open_yolo(root, "trian")


@pytest.mark.parametrize(
    "text",
    [
        "names: [bus, traffic light, dog]\n",
        "nc: 3\nnames: ['bus', \"traffic light\", dog]  # three\n",
        "names:\n- bus\n- traffic light  # red\n- 'dog'\nnc: 3\n",
        "path: x\nnames:\n  0: bus\n  1: traffic light\n\n  # the last\n  2: dog\ntrain: images/train\n",
        "names: {0: bus, 1: 'traffic light', 2: dog}\n",
        "names: {2: dog, 0: bus, 1: traffic light}\n",
        "names: [\n  bus,\n  traffic light, # red\n  dog,\n]\n",
    ],
)
def test_names_are_read_in_every_form_that_tools_write(tmp_path, text):
    (tmp_path / "data.yaml").write_text(text, encoding="utf-8")
    assert read_names(tmp_path) == NAMES


@pytest.mark.parametrize(
    "text",
    [
        "train: x\n",
        "names: classes.txt\n",
        "names: [a, b\n",
        "names: {0: a, 2: b}\n",
        "names: {0: a, x: b}\n",
        "names:\n  0: a\n  2: b\n",
        "names:\n  - a\n  1: b\n",
        "names:\n  what\n",
        "names: [&x a, *x]\n",
        "names: []\n",
        "names:\n- !!python/object:os.system a\n",
        "names: [[a], [b]]\n",
        "names: [a, A]\n",
    ],
)
def test_names_that_are_none_are_one_line(tmp_path, text):
    (tmp_path / "data.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"data\.yaml") as caught:
        read_names(tmp_path)
    assert "\n" not in str(caught.value)


def test_names_come_from_classes_txt_where_there_is_no_yaml(tmp_path):
    with pytest.raises(DataError, match="no names"):
        read_names(tmp_path)
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "classes.txt").write_text("bus\ntraffic light\ndog\n")
    assert read_names(tmp_path) == NAMES


PLAIN = (
    st.text("abcdefgh ijk-_.xyzé", min_size=1, max_size=12)
    .map(lambda t: " ".join(t.split()))
    .filter(lambda t: t[:1].isalpha() and t != "background")
)


@given(st.lists(PLAIN, min_size=1, max_size=8, unique_by=str.casefold), st.sampled_from(["'{}'", '"{}"', "{}"]))
def test_flow_block_and_numbered_names_agree(tmp_path_factory, names, quoted):
    root = tmp_path_factory.mktemp("names")
    words = [quoted.format(name) for name in names]
    for text in (
        f"names: [{', '.join(words)}]\n",
        "names:\n" + "".join(f"  - {word}\n" for word in words),
        "names:\n" + "".join(f"  {k}: {word}\n" for k, word in enumerate(words)),
        f"names: {{{', '.join(f'{k}: {word}' for k, word in enumerate(words))}}}\n",
    ):
        (root / "data.yaml").write_text(text, encoding="utf-8")
        assert read_names(root) == tuple(names)


@given(st.text(alphabet="names:[]{}-,'\"#\n 0123ab&*\\", max_size=60))
def test_any_yaml_is_names_or_one_line(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("yaml") / "data.yaml"
    path.write_text("names:" + text, encoding="utf-8")
    try:
        assert read_names(path.parent)
    except DataError as error:
        assert "\n" not in str(error)
