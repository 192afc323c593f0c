from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recam_cli.core.data.labels import find_labels, read_labels, split_labels
from recam_cli.core.errors import DataError

CLASSES = {"bus": 0, "cat": 1, "traffic light": 2}
NAMES = st.text("abcdefg", min_size=1, max_size=6)


def write(tmp_path, content, name="labels.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


def labels(tmp_path, content, image="a", name="labels.csv"):
    return read_labels(write(tmp_path, content, name)).labels_of(image, CLASSES)


@pytest.mark.parametrize(
    ("cell", "ids"),
    [
        ("cat", (1,)),
        ("cat bus", (0, 1)),
        ("cat;bus", (0, 1)),
        ('"cat, bus"', (0, 1)),
        ("cat,bus", (0, 1)),
        ("traffic light", (2,)),
        ("traffic  light ; cat", (1, 2)),
        ("cat cat", (1,)),
        ("", ()),
        ("  ", ()),
        ("none", ()),
        (" Background ;", ()),
    ],
)
def test_cells_hold_any_number_of_labels(tmp_path, cell, ids):
    assert labels(tmp_path, f"image,labels\na,{cell}\n") == ids


@given(st.lists(NAMES, max_size=5), st.sampled_from([" ", ";", ",", " ; "]))
def test_joining_names_and_splitting_them_gives_them_back(names, separator):
    assert split_labels(separator.join(names)) == tuple(dict.fromkeys(names))


@given(st.text(max_size=40))
def test_any_cell_splits_into_clean_distinct_names(cell):
    names = split_labels(cell)
    assert len(set(names)) == len(names)
    assert all(name == name.strip() and name and ";" not in name and "," not in name for name in names)


def test_the_header_may_have_more_columns_in_any_order_and_a_byte_order_mark(tmp_path):
    text = "\ufeffLabels ,source, Image\r\ncat,web,a.jpg\r\n"
    assert labels(tmp_path, text) == (1,)


def test_other_columns_after_the_labels_are_not_labels(tmp_path):
    assert labels(tmp_path, "image,labels,source\na,cat,bus\n") == (1,)


def test_blank_lines_do_not_count(tmp_path):
    assert labels(tmp_path, "image,labels\n\n,\na,cat\n\n") == (1,)


def test_json_holds_lists_of_names(tmp_path):
    text = json.dumps({"a.jpg": ["traffic light", "cat"], "b": []})
    table = read_labels(write(tmp_path, text, "labels.json"))
    assert table.labels_of("a", CLASSES) == (1, 2)
    assert table.labels_of("b", CLASSES) == ()
    assert table.vocabulary() == ("cat", "traffic light")


def test_without_classes_txt_the_sorted_names_are_the_classes(tmp_path):
    table = read_labels(write(tmp_path, "image,labels\na,dog cat\nb,\nc,bus\n"))
    assert table.vocabulary() == ("bus", "cat", "dog")


def test_one_semicolon_shows_that_blanks_belong_to_names(tmp_path):
    text = "image,labels\na,traffic light\nb,traffic light;cat\nc,fire hydrant\n"
    table = read_labels(write(tmp_path, text))
    assert table.vocabulary() == ("cat", "fire hydrant", "traffic light")
    classes = {name: k for k, name in enumerate(table.vocabulary())}
    assert [table.labels_of(i, classes) for i in "abc"] == [(2,), (0, 2), (1,)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no column 'image'"),
        ("id,labels\na,cat\n", "no column 'image'"),
        ("image;labels\na;cat\n", "no column 'image'"),
        ("image,labels,labels\n", "more than one column 'labels'"),
        ("image,labels\na\n", "line 2: 1 of 2 columns"),
        ("image,labels,x\na,cat,b,c\n", "line 2: 4 columns, but the header has 3"),
        ('image,labels\na,"cat\n', "not CSV"),
        ('image,labels\na,"' + "x" * 200_000 + '"\n', "line 2: not CSV: field larger"),
        ("image,labels\na,cat\na,bus\n", "line 3: image 'a' occurs twice"),
        ("image,labels\na.jpg,cat\nA,bus\n", "line 3: 'a' and 'A' differ in case"),
        ("image,labels\n../a,cat\n", "line 2: id '../a' names a folder"),
        ("image,labels\n,cat\n", "line 2: an empty id"),
        ("image,labels\nb\0,cat\n", "line 2: id 'b\\x00' contains a control character"),
        (b"image,labels\na,cat\nb,caf\xe9\n", "line 3: not UTF-8"),
        ("image,labels\na,cat\n".encode("utf-16"), "line 1: not UTF-8"),
    ],
)
def test_a_csv_that_cannot_be_meant_is_refused_with_its_line(tmp_path, content, message):
    with pytest.raises(DataError) as caught:
        read_labels(write(tmp_path, content))
    assert message in str(caught.value)
    assert "labels.csv" in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "not a JSON object"),
        ('{"a": "cat"}', "not a list of names"),
        ('{"a": {"cat": 1}}', "not a list of names"),
        ('{"a": [1]}', "not a list of names"),
        ('{"a": ["cat"], "a": ["bus"]}', "occurs twice"),
        ('{"a/b": ["cat"]}', "names a folder"),
    ],
)
def test_a_json_file_that_cannot_be_meant_is_refused(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        read_labels(write(tmp_path, content, "labels.json"))


def test_an_unknown_label_is_named_with_the_closest_class(tmp_path):
    with pytest.raises(DataError, match=r"line 2: unknown label 'Bus'.*Did you mean 'bus'"):
        labels(tmp_path, "image,labels\na,Bus\n")


def test_a_class_with_a_blank_split_by_mistake_is_explained(tmp_path):
    with pytest.raises(DataError, match=r"unknown label 'traffic'.*separate the labels by ';'"):
        labels(tmp_path, "image,labels\na,traffic light cat\n")


def test_an_image_without_a_row_is_an_error_but_an_empty_row_is_not(tmp_path):
    path = write(tmp_path, "image,labels\na,\nImg_2,cat\n")
    table = read_labels(path)
    assert table.labels_of("a", CLASSES) == ()
    with pytest.raises(DataError, match="no labels for image 'b'"):
        table.labels_of("b", CLASSES)
    with pytest.raises(DataError, match=r"'img_2'.*It has 'Img_2'"):
        table.labels_of("img_2", CLASSES)


def test_a_listener_hears_every_problem_and_the_rest_is_read(tmp_path):
    told = []
    table = read_labels(write(tmp_path, "image,labels\na,cat\na,bus\n../b,cat\nc,ct cat\n"), told.append)
    assert table.labels_of("a", CLASSES, told.append) == (1,)
    assert table.labels_of("c", CLASSES, told.append) == (1,)
    assert [p.reason.split(":")[0] for p in told] == ["line 3", "line 4", "line 5"]


def test_two_label_files_are_ambiguous(tmp_path):
    assert find_labels(tmp_path) is None
    csv = write(tmp_path, "image,labels\n")
    assert find_labels(tmp_path) == csv
    write(tmp_path, "{}", "labels.json")
    with pytest.raises(DataError, match="both"):
        find_labels(tmp_path)


def test_other_label_formats_and_missing_files_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"\.csv or \.json"):
        read_labels(write(tmp_path, b"\x93NUMPY", "cls_labels.npy"))
    with pytest.raises(DataError, match="no such label file"):
        read_labels(tmp_path / "gone.csv")


@given(st.binary(max_size=200))
def test_no_bytes_at_all_cause_anything_but_a_data_error(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("fuzz")
    for name, head in (("labels.csv", b"image,labels\n"), ("labels.csv", b""), ("labels.json", b'{"a":')):
        try:
            read_labels(write(folder, head + data, name))
        except DataError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize(("content", "sign"), [("image;labels\na;cat\n", "';'"), ("image\tlabels\na\tcat\n", r"'\\t'")])
def test_columns_separated_otherwise_than_by_commas_are_named(tmp_path, content, sign):
    with pytest.raises(DataError, match=f"by commas, not by {sign}"):
        labels(tmp_path, content)


def test_words_for_nothing_are_no_class_unless_classes_txt_says_so(tmp_path):
    table = read_labels(write(tmp_path, "image,labels\na,cat\nb,None\nc,\nd,negatives\n"))
    assert table.vocabulary() == ("cat",)
    assert [table.labels_of(i, {"cat": 0}) for i in "abcd"] == [(0,), (), (), ()]
    assert [table.labels_of(i, {"None": 0, "cat": 1}) for i in "abcd"] == [(1,), (0,), (), ()]
    with pytest.raises(DataError, match=r"unknown label 'None'.*Did you mean 'none'"):
        table.labels_of("b", {"none": 0})
    assert read_labels(write(tmp_path, '{"a": ["none"]}', "labels.json")).labels_of("a", {"cat": 0}) == ()


@pytest.mark.parametrize("cell", ["none;cat", "cat none", "none,nothing"])
def test_nothing_and_something_at_once_is_refused(tmp_path, cell):
    table = read_labels(write(tmp_path, f'image,labels\na,"{cell}"\nb,cat\n'))
    assert table.vocabulary() == ("cat",)
    with pytest.raises(DataError, match=r"line 2: unknown label 'no\w+'.*shows none of the classes: leave it"):
        table.labels_of("a", {"cat": 0})
