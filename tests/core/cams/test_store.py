"""Seeds survive the disk, without pickles, and damaged ones are named."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recam_cli.core.cams.store import Seed, label_of, read_seed, write_seed
from recam_cli.core.errors import DataError


def _seed(count=2, size=(30, 41), start=0):
    rng = np.random.default_rng(start)
    maps = rng.random((count, -(-size[0] // 4), -(-size[1] // 4))).astype(np.float32)
    return Seed(np.arange(count, dtype=np.int64) * 3, maps, size)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_seed_reads_back_as_written_to_half_precision(tmp_path, count):
    seed = _seed(count)
    write_seed(tmp_path / "a.npz", seed)
    back = read_seed(tmp_path / "a.npz")
    assert back.size == seed.size
    assert np.array_equal(back.classes, seed.classes)
    np.testing.assert_allclose(back.maps, seed.maps, atol=5e-4)


def test_numpy_alone_reads_it_without_pickle(tmp_path):
    write_seed(tmp_path / "a.npz", _seed())
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        assert sorted(arrays) == ["classes", "maps", "size"]


def test_labels_are_argmax_above_the_threshold_with_ties_to_background():
    maps = np.array([[[0.2, 0.5, 0.9]], [[0.1, 0.6, 0.8]]], dtype=np.float32)
    assert label_of(maps, np.array([4, 7]), 0.5).tolist() == [[0, 8, 5]]
    assert label_of(maps, np.array([4, 7]), float(np.float32(0.9))).tolist() == [[0, 0, 0]]


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000), st.floats(0, 1))
def test_labels_are_background_or_a_class_of_the_seed(start, threshold):
    seed = _seed(start=start)
    assert set(np.unique(seed.label(threshold))) <= {0, *(seed.classes + 1).tolist()}


def _cut(data):
    return data[: len(data) // 2]


def _flip(data):
    middle = len(data) // 2  # inside the compressed maps, where the zip's checksum notices
    return data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :]


@pytest.mark.parametrize("damage", [_cut, lambda d: b"", lambda d: b"not a zip", _flip])
def test_damaged_seeds_are_named_with_the_remedy(tmp_path, damage):
    path = tmp_path / "a.npz"
    write_seed(path, _seed())
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=r"a\.npz.*make-seeds"):
        read_seed(path)


def test_seeds_of_another_layout_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", classes=np.array([1]), maps=np.zeros((1, 3, 3), np.float16), size=np.array([99, 9]))
    with pytest.raises(DataError, match="layout"):
        read_seed(tmp_path / "a.npz")


def test_pickled_arrays_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", classes=np.array([{}], dtype=object), maps=np.zeros(1), size=np.zeros(2))
    with pytest.raises(DataError):
        read_seed(tmp_path / "a.npz")


def _reduced(work=(30, 41), size=(213, 290), count=2, start=0):
    seed = _seed(count, work, start)
    return Seed(seed.classes, seed.maps, size, work)


@pytest.mark.parametrize("count", [0, 2])
def test_a_seed_of_a_working_copy_reads_back_with_both_sizes(tmp_path, count):
    seed = _reduced(count=count)
    write_seed(tmp_path / "a.npz", seed)
    back = read_seed(tmp_path / "a.npz")
    assert (back.size, back.work) == ((213, 290), (30, 41))
    assert back.upsampled().shape == (count, 30, 41)
    assert back.label(0.5).shape == (213, 290)


def test_a_seed_of_a_photograph_that_was_not_shrunk_is_stored_as_ever(tmp_path):
    seed = _seed()
    write_seed(tmp_path / "a.npz", seed)
    write_seed(tmp_path / "b.npz", Seed(seed.classes, seed.maps, seed.size, seed.size))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with np.load(tmp_path / "b.npz", allow_pickle=False) as arrays:
        assert "work" not in arrays


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000), st.integers(1, 300), st.integers(1, 300), st.floats(0, 1))
def test_labels_in_strips_are_those_of_the_whole(start, height, width, threshold):
    seed = _reduced((min(30, height), min(41, width)), (height, width), start=start)
    whole = np.stack([cv2.resize(m, (width, height), interpolation=cv2.INTER_LINEAR) for m in seed.maps])
    sure = np.abs(whole - threshold).min(axis=0) > 1e-4
    sure &= np.abs(whole[0] - whole[1]) > 1e-4
    assert np.array_equal(seed.label(threshold)[sure], label_of(whole, seed.classes, threshold)[sure])
    assert next(rows.start for rows, _ in seed.strips()) == 0


@pytest.mark.parametrize(
    "work", [(0, 0), (31, 41), (214, 290), (-1, 41)], ids=["none", "of other maps", "larger", "negative"]
)
def test_a_working_size_that_cannot_be_is_refused(tmp_path, work):
    seed = _seed()
    arrays = {"classes": seed.classes, "maps": seed.maps.astype(np.float16), "size": np.array([213, 290])}
    np.savez(tmp_path / "a.npz", **arrays, work=np.array(work))
    if work == (31, 41):  # of the same number of cells: nothing to tell them apart by
        arrays["maps"] = arrays["maps"][:, :-1]
        np.savez(tmp_path / "a.npz", **arrays, work=np.array(work))
    with pytest.raises(DataError, match="not a seed of recam's layout"):
        read_seed(tmp_path / "a.npz")


def test_a_seed_tells_its_photograph_and_its_working_copy_apart():
    seed = _reduced()
    seed.require_size(30, 41)
    seed.require_photo((213, 290))
    with pytest.raises(DataError, match=r"290×213 pixels, but the seed was made of one of 41×30"):
        seed.require_size(213, 290)
    with pytest.raises(DataError, match=r"41×30 pixels, but the seed was made of one of 290×213"):
        seed.require_photo((30, 41))
