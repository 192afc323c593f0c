"""Plain arrays out of an `.npz`, within bounds: neither a header's word nor a compressed size is trusted.

`numpy.load` makes room for whatever shape a header names and unpacks whatever an archive holds. Here each member is
unpacked up to a limit, and its header must fit the bytes that came.
"""

from __future__ import annotations

import io
import lzma
import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from recam_cli.core.bounded import reason_of, require_plain

_END = struct.Struct("<4s4H2LH")
_LOCATOR = 20
"""Bytes of the record before the end record that a zip file of more than 65,535 members or 4 GB has."""
_MOST_MEMBERS = 64
_BAD_ARCHIVE = (
    OSError,
    ValueError,  # UnicodeDecodeError, too
    KeyError,
    EOFError,
    RuntimeError,  # encrypted, or of an unknown compression (NotImplementedError)
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
)
_BAD_HEADER = (ValueError, TypeError, SyntaxError, tokenize.TokenError, MemoryError, RecursionError)


class BadArraysError(Exception):
    """Not an `.npz` of these arrays; the text says why."""


def read_arrays(path: Path, limits: Mapping[str, int], *, optional: Collection[str] = ()) -> dict[str, np.ndarray]:
    """Return the arrays of an `.npz`, read-only.

    Args:
        path: the file.
        limits: the names of its arrays, and the bytes each may have, header included.
        optional: those that may be missing, and are then left out.

    Raises:
        FileNotFoundError: there is no such file.
        BadArraysError: it is damaged, lacks an array, or one is larger than allowed.
    """
    try:
        if require_plain(path) > 2 * sum(limits.values()) + (1 << 20):
            raise BadArraysError("larger than its arrays can be")
        with path.open("rb") as file:
            _require_few_members(file)
            with zipfile.ZipFile(file) as archive:
                there = set(archive.namelist())
                wanted = {
                    name: limit for name, limit in limits.items() if name not in optional or f"{name}.npy" in there
                }
                data = {name: _member(archive, f"{name}.npy", limit) for name, limit in wanted.items()}
    except FileNotFoundError:
        raise
    except _BAD_ARCHIVE as error:
        raise BadArraysError(reason_of(error)) from None
    return {name: _array(content, name) for name, content in data.items()}


def _require_few_members(file: io.BufferedReader) -> None:
    """Refuse a list of members that would itself fill the memory."""
    file.seek(0, io.SEEK_END)
    file.seek(max(0, file.tell() - _END.size - _LOCATOR))
    tail = file.read()
    if len(tail) < _END.size or tail[-_END.size :][:4] != b"PK\x05\x06" or tail[:4] == b"PK\x06\x07":
        raise BadArraysError("not an archive of arrays")
    members = _END.unpack(tail[-_END.size :])[4]
    if members > _MOST_MEMBERS:
        raise BadArraysError(f"an archive of {members} files")
    file.seek(0)


def _member(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    with archive.open(name) as member:
        content = member.read(min(limit, archive.getinfo(name).file_size) + 1)
    if len(content) > limit:
        raise BadArraysError(f"{name} is larger than {limit:,} bytes")
    return content


def _array(content: bytes, name: str) -> np.ndarray:
    file = io.BytesIO(content)
    try:
        version = npy.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"format {version}")
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, turned, dtype = read(file)
    except _BAD_HEADER as error:
        raise BadArraysError(f"{name}.npy: {reason_of(error)}") from None
    rest = memoryview(content)[file.tell() :]
    if dtype.hasobject or min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(rest):
        raise BadArraysError(f"{name}.npy: its content does not fit its header")
    try:
        array = np.frombuffer(rest, dtype) if len(rest) else np.zeros(0, dtype)
        return array.reshape(shape, order="F" if turned else "C")
    except ValueError as error:  # a dtype of no size, or more axes than arrays may have
        raise BadArraysError(f"{name}.npy: {reason_of(error)}") from None
