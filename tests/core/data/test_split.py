from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recam_cli.core.data.split import HELD_OUT, held_out

NAMES = st.text("abcdef0123", min_size=1, max_size=6)


@st.composite
def data_sets(draw, most_labels=3):
    """Labels of up to 60 photographs of 5 classes, and a part of them in groups."""
    ids = draw(st.lists(NAMES, unique=True, max_size=60))
    few = st.lists(st.integers(0, 4), min_size=1 if most_labels == 1 else 0, max_size=most_labels, unique=True)
    labels = {i: tuple(draw(few)) for i in ids}
    rest, groups = list(ids), []
    for size in draw(st.lists(st.integers(2, 6), max_size=8)):
        groups.append(rest[:size])
        rest = rest[size:]
    return labels, [group for group in groups if group]


def kinds(labels, image_id):
    return labels[image_id] or ("nothing",)


def units(labels, groups):
    inside = {i for group in groups for i in group}
    return [*groups, *([i] for i in labels if i not in inside)]


def counted(labels, ids):
    return Counter(k for i in ids for k in kinds(labels, i))


@given(data_sets())
def test_every_class_keeps_photographs_to_train_on(data):
    labels, groups = data
    out = held_out(labels, groups)
    assert out <= set(labels)
    assert set(counted(labels, labels)) == set(counted(labels, set(labels) - out))


@given(data_sets())
def test_groups_stay_whole(data):
    labels, groups = data
    out = held_out(labels, groups)
    assert all(len(out & set(group)) in (0, len(group)) for group in groups)


@given(data_sets(), st.randoms(use_true_random=False))
def test_no_order_changes_it(data, random):
    labels, groups = data
    ids, shuffled = list(labels), [random.sample(group, len(group)) for group in groups]
    random.shuffle(ids)
    random.shuffle(shuffled)
    assert held_out(labels, groups) == held_out({i: labels[i][::-1] for i in ids}, shuffled)


@given(data_sets(most_labels=1))
def test_each_class_holds_out_a_fifth_to_within_its_largest_group(data):
    labels, groups = data
    groups = [[i for i in group if labels[i] == labels[group[0]]] for group in groups]
    out = held_out(labels, groups)
    totals, held = counted(labels, labels), counted(labels, out)
    for k, total in totals.items():
        sizes = [len(unit) for unit in units(labels, groups) if k in kinds(labels, unit[0])]
        assert abs(held[k] - HELD_OUT * total) <= max(sizes)
        assert (held[k] > 0) == (len(sizes) > 1)


@given(data_sets())
def test_a_class_of_two_groups_holds_one_out_unless_each_is_another_classes_last(data):
    labels, groups = data
    out = held_out(labels, groups)
    trained = [unit for unit in units(labels, groups) if unit[0] not in out]
    left = counted(labels, set(labels) - out)
    for k in set(counted(labels, labels)) - set(counted(labels, out)):
        for unit in trained:
            mine = counted(labels, unit)
            assert not mine[k] or any(left[c] == n for c, n in mine.items())


@given(data_sets())
def test_no_class_falls_short_of_a_fifth_where_a_group_could_be_taken(data):
    labels, groups = data
    out = held_out(labels, groups)
    totals, held = counted(labels, labels), counted(labels, out)
    left = totals - held
    for unit in units(labels, groups):
        mine = counted(labels, unit)
        if unit[0] not in out and all(left[c] > n for c, n in mine.items()):
            assert all(held[c] + n / 2 > HELD_OUT * totals[c] for c, n in mine.items())


@given(st.integers(1, 4), st.integers(20, 80), st.text("xyz", min_size=1, max_size=4))
@settings(max_examples=50)
def test_a_photograph_more_moves_at_most_one_other(classes, number, new):
    labels = {f"img_{i}": (i % classes,) for i in range(number)}
    before, after = held_out(labels), held_out({**labels, new: (0,)})
    assert len((before ^ after) - {new}) <= 1


def test_with_several_labels_an_image_a_photograph_more_moves_few():
    labels = {f"img_{i}": tuple({i % 7, i * i % 5}) for i in range(400)}
    moved = [len((held_out(labels) ^ held_out({**labels, f"new_{n}": (n % 7,)})) - {f"new_{n}"}) for n in range(20)]
    assert max(moved) <= 8


def test_photographs_of_nothing_are_parted_like_a_class():
    labels = {f"cat_{i}": (0,) for i in range(50)} | {f"none_{i}": () for i in range(20)}
    assert counted(labels, held_out(labels)) == {0: 10, "nothing": 4}


@pytest.mark.parametrize(("number", "held"), [(0, 0), (1, 0), (2, 1), (3, 1), (7, 1), (8, 2), (100, 20)])
def test_so_many_of_a_class_are_held_out(number, held):
    assert len(held_out({str(i): (0,) for i in range(number)})) == held


def test_a_burst_is_no_likelier_to_be_held_out_than_a_single_photograph():
    labels = {f"{burst}_{i}": (0,) for burst in range(100) for i in range(5)} | {f"s{i}": (0,) for i in range(500)}
    groups = [[f"{burst}_{i}" for i in range(5)] for burst in range(100)]
    out = held_out(labels, groups)
    assert 60 <= sum(i[0] != "s" for i in out) <= 140


def test_rare_classes_come_first_where_they_share_photographs_with_a_common_one():
    labels = {f"img_{i}": (0, 1 + i % 10) for i in range(50)} | {f"more_{i}": (0,) for i in range(50)}
    held = counted(labels, held_out(labels))
    assert all(held[k] == 1 for k in range(1, 11))
    assert held[0] == 20
