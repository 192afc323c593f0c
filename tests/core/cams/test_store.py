"""Seeds survive the disk, without pickles, and damaged ones are named."""

from __future__ import annotations

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
