"""Archives of arrays are read within bounds: no claimed shape and no packed size decides what memory is taken."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as arrays

from recam_cli.core.cams.arrays import BadArraysError, read_arrays

LIMITS = {"a": 1 << 20, "b": 1 << 20}
MEMORY = 8 << 20


def archive(path, members, kind=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", kind) as new:
        for name, content in members.items():
            new.writestr(name, content)
    return path


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def header(text):
    text = text.encode("latin-1")
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def refused(path, match):
    tracemalloc.start()
    try:
        with pytest.raises(BadArraysError, match=match):
            read_arrays(path, LIMITS)
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()


@settings(deadline=None, max_examples=60)
@given(a=arrays.arrays(arrays.integer_dtypes() | arrays.floating_dtypes(), arrays.array_shapes(min_dims=0, min_side=0)))
def test_arrays_come_back_as_numpy_reads_them(tmp_path_factory, a):
    path = tmp_path_factory.mktemp("npz") / "a.npz"
    np.savez_compressed(path, a=a, b=np.asfortranarray(np.arange(6).reshape(2, 3)))
    found = read_arrays(path, LIMITS)
    with np.load(path, allow_pickle=False) as expected:
        for name in ("a", "b"):
            assert found[name].dtype == expected[name].dtype
            np.testing.assert_array_equal(found[name], expected[name])


def test_what_unpacks_to_more_than_its_limit_is_refused_before_it_fills_the_memory(tmp_path):
    bomb = npy(np.zeros(1, np.float16)) + b"\0" * (48 << 20)
    path = archive(tmp_path / "a.npz", {"a.npy": bomb, "b.npy": npy(np.zeros(1))})
    assert path.stat().st_size < 1 << 20
    refused(path, "larger than 1,048,576 bytes")


@pytest.mark.parametrize(
    "shape",
    ["(1000000000,)", "(99999, 99999, 99999)", "(-1,)", "(2, -3)", "(" + "1," * 70 + ")", "(9" + "9" * 30 + ",)"],
)
def test_a_claimed_shape_takes_no_memory(tmp_path, shape):
    claim = header(f"{{'descr': '<f2', 'fortran_order': False, 'shape': {shape}, }}\n") + b"\0" * 12
    refused(archive(tmp_path / "a.npz", {"a.npy": claim, "b.npy": npy(np.zeros(1))}), "a.npy")


@pytest.mark.parametrize(
    "text", ["{'descr': ", "((((((", "\0", "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", "{1: 2}", "("]
)
def test_headers_that_numpy_cannot_parse_are_refused(tmp_path, text):
    refused(archive(tmp_path / "a.npz", {"a.npy": header(text) + b"\0" * 8, "b.npy": npy(np.zeros(1))}), "a.npy")


def test_other_archives_and_files_are_refused(tmp_path):
    path = tmp_path / "a.npz"
    for data in (b"", b"PK\x03\x04", npy(np.zeros(4)), b"\x80\x04.", b"x" * 100):
        path.write_bytes(data)
        refused(path, ".")
    refused(archive(path, {"a.npy": npy(np.zeros(1))}), "b.npy")
    refused(archive(path, {"a.npy": b"text", "b.npy": npy(np.zeros(1))}), "a.npy")
    refused(archive(path, {f"{n}.npy": b"" for n in range(65)}), "an archive of 65 files")
    with pytest.raises(FileNotFoundError):
        read_arrays(tmp_path / "gone.npz", LIMITS)
    refused(tmp_path, "directory")


@pytest.mark.parametrize("kind", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damaged_members_of_every_compression_are_refused(tmp_path, kind):
    random = np.random.default_rng(0).integers(0, 256, 4000, dtype=np.uint8)
    path = archive(tmp_path / "a.npz", {"a.npy": npy(random), "b.npy": npy(random)}, kind)
    whole = path.read_bytes()
    for place in range(40, 4000, 331):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            found = read_arrays(path, LIMITS)
        except BadArraysError:
            continue
        assert all(np.array_equal(array, random) for array in found.values())  # a byte that nobody reads
