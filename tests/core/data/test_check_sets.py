from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recam_cli.core.data.check_sets import FEW, check_classes_apart, find_copies
from recam_cli.core.data.custom import open_custom
from recam_cli.core.data.folder import open_folder
from recam_cli.core.data.images import read_image, write_image
from recam_cli.core.data.samples import ImageSet, Sample
from tests.helpers.tiny_data import make_custom, make_folder

CLASSES = ("ant", "bee", "cow")


def image_set(labels, split="train"):
    samples = (Sample(f"{split}_{i}", Path(f"{i}.jpg"), tuple(sorted(ks))) for i, ks in enumerate(labels))
    return ImageSet("custom", Path("root"), split, CLASSES, tuple(samples))


def reasons(labels):
    return [p.reason for p in check_classes_apart([image_set(labels)])]


def copy(source, target):
    write_image(target, read_image(source), quality=90)


def test_copies_in_train_and_val_are_named_and_counted(tmp_path):
    root = make_custom(tmp_path, n=12)
    folder = root / "JPEGImages"
    sets = [open_custom(root, name) for name in ("train", "val")]
    assert list(find_copies(sets).across_splits()) == []
    for train, val in ((1, 8), (2, 9)):
        copy(folder / f"img_{train:03d}.jpg", folder / f"img_{val:03d}.jpg")
    (problem,) = find_copies(sets).across_splits()
    assert (problem.file, problem.severity) == (folder / "img_008.jpg", "warning")
    assert str(folder / "img_001.jpg") in problem.reason
    assert problem.reason.endswith("2 photographs of split 'val' are copies of such")


def test_an_image_of_both_lists_is_a_leak_but_lists_of_both_parts_are_none(tmp_path):
    root = make_custom(tmp_path, n=9, splits={"train": range(6), "val": range(5, 9), "trainval": range(9)})
    sets = [open_custom(root, name) for name in ("train", "val", "trainval")]
    (problem,) = find_copies(sets).across_splits()
    assert problem.file.name == "img_005.jpg"
    assert "1 photograph of split 'val' is a copy" in problem.reason


def test_a_photograph_in_two_class_folders_is_named(tmp_path):
    make_folder(tmp_path, n=9)
    copy(tmp_path / "cat" / "img_004.jpg", tmp_path / "dog" / "again.jpg")
    copy(tmp_path / "cat" / "img_001.jpg", tmp_path / "dog" / "too.jpg")
    (problem,) = find_copies([open_folder(tmp_path, "all")]).across_labels()
    assert problem.file == tmp_path / "cat" / "img_001.jpg"
    assert problem.severity == "warning"
    assert "the same photograph is labelled cat and dog" in problem.reason
    assert str(tmp_path / "dog" / "too.jpg") in problem.reason
    assert "2 photographs in all" in problem.reason
    assert problem.remedy == "List it once in labels.csv with both"


def test_copies_of_one_class_are_no_contradiction_but_those_of_nothing_are(tmp_path):
    make_folder(tmp_path, n=6)
    copy(tmp_path / "cat" / "img_004.jpg", tmp_path / "cat" / "again.jpg")
    assert list(find_copies([open_folder(tmp_path, "all")]).across_labels()) == []
    (tmp_path / "none").mkdir()
    copy(tmp_path / "cat" / "img_004.jpg", tmp_path / "none" / "again.jpg")
    (problem,) = find_copies([open_folder(tmp_path, "all")]).across_labels()
    assert "labelled cat and nothing" in problem.reason


def test_rare_classes_are_told_with_their_counts():
    labels = [(0,)] * FEW + [(1,)] * (FEW - 1) + [(2,)]
    assert reasons(labels) == [f"2 classes with fewer than {FEW} photographs: bee ({FEW - 1}), cow (1)"]
    assert reasons([(0,)] * FEW) == []


def test_all_splits_count_together_each_photograph_once():
    sets = [image_set([(0,)] * 6), image_set([(0,)] * 4, "val"), image_set([(0,)] * 6)]
    assert list(check_classes_apart(sets)) == []
    assert len(list(check_classes_apart(sets[::2]))) == 1


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ([(0, 1)] * 12 + [(2,)] * 12, ["classes that always come together: ant and bee (12)"]),
        ([(0, 1)] * 12 + [(1,)] + [(2,)] * 12, ["1 class never without another: ant (12 of 12 with bee)"]),
        ([(0, 1)] * 12 + [(1,)] + [(0,)], []),
    ],
)
def test_classes_that_labels_cannot_tell_apart_are_told(labels, told):
    assert reasons(labels) == told


@given(st.lists(st.sets(st.integers(0, 2)), max_size=14))
def test_pairs_of_classes_are_told_as_counting_says(labels):
    seen = {k: {i for i, ks in enumerate(labels) if k in ks} for k in range(3)}
    said = " ".join(reasons(labels))
    for a, b in combinations(range(3), 2):
        x, y = CLASSES[a], CLASSES[b]
        assert (f"{x} and {y} (" in said) == (seen[a] == seen[b] and len(seen[a]) >= 3)
        assert (f"{x} ({len(seen[a])} of {len(seen[a])} with {y})" in said) == (seen[a] < seen[b] and len(seen[a]) >= 3)
