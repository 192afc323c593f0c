from __future__ import annotations

import io
import tarfile
import tracemalloc

import pytest

from recam_cli.core.data import archive
from recam_cli.core.data.archive import extract_folder
from recam_cli.core.errors import DataError
from recam_cli.core.reporter import SilentReporter
from tests.helpers.leftovers import left_beside

INNER = "VOCdevkit/VOC2012"


def member(name, **fields):
    info = tarfile.TarInfo(name)
    for key, value in fields.items():
        setattr(info, key, value)
    return info


def write_tar(path, *members, mode="w"):
    with tarfile.open(path, mode) as tar:
        for info in members:
            info.size = 4 if info.isreg() else 0
            tar.addfile(info, io.BytesIO(b"text") if info.isreg() else None)
    return path


def unpack(path, target):
    extract_folder(path, INNER, target, SilentReporter())


def leftovers(folder):
    return [p.name for p in folder.rglob("*") if p.name.endswith(".partial")]


def test_the_inner_folder_becomes_the_target(tmp_path):
    killed = left_beside(tmp_path / "data" / "VOC2012")  # by an unpacking before
    (killed / "half").mkdir(parents=True)
    tar = write_tar(
        tmp_path / "a.tar",
        member("VOCdevkit/", type=tarfile.DIRTYPE),
        member(f"{INNER}/JPEGImages/a.jpg", mode=0o4777),
        member(f"{INNER}/Annotations/a.xml", mode=0),
    )
    unpack(tar, tmp_path / "data" / "VOC2012")
    path = tmp_path / "data" / "VOC2012" / "JPEGImages" / "a.jpg"
    assert path.read_bytes() == b"text"
    assert not path.stat().st_mode & 0o6111
    assert (tmp_path / "data" / "VOC2012" / "Annotations" / "a.xml").read_bytes() == b"text"
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    "evil",
    [
        member("../evil"),
        member("/tmp/evil"),
        member(f"{INNER}/../../../evil"),
        member(f"{INNER}/..\\evil"),
        member("evil"),
        member("VOCdevkit/evil"),
        member(f"{INNER}/link", type=tarfile.SYMTYPE, linkname="/etc"),
        member(f"{INNER}/hard", type=tarfile.LNKTYPE, linkname=f"{INNER}/a"),
        member(f"{INNER}/device", type=tarfile.CHRTYPE),
        member(f"{INNER}/pipe", type=tarfile.FIFOTYPE),
    ],
    ids=lambda m: m.name,
)
def test_anything_but_plain_files_inside_is_refused_and_nothing_remains(tmp_path, evil):
    tar = write_tar(tmp_path / "a.tar", member(f"{INNER}/a"), evil)
    with pytest.raises(DataError, match="in the archive"):
        unpack(tar, tmp_path / "data" / "VOC2012")
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a.tar", "data"]


@pytest.mark.parametrize(("limit", "value"), [("MAX_MEMBERS", 2), ("MAX_MEMBER_BYTES", 3), ("MAX_TOTAL_BYTES", 11)])
def test_bounds_on_number_and_size_hold(tmp_path, monkeypatch, limit, value):
    tar = write_tar(tmp_path / "a.tar", *(member(f"{INNER}/{i}") for i in range(3)))
    monkeypatch.setattr(archive, limit, value)
    with pytest.raises(DataError, match="too many or too large"):
        unpack(tar, tmp_path / "VOC2012")


def test_a_file_of_a_huge_claimed_size_is_refused(tmp_path):
    info = member(f"{INNER}/a")
    info.size = 1 << 40
    (tmp_path / "a.tar").write_bytes(info.tobuf() + b"\0" * 1024)
    with pytest.raises(DataError, match="too large"):
        unpack(tmp_path / "a.tar", tmp_path / "VOC2012")


@pytest.mark.parametrize("kind", ["truncated", "other", "gz", "empty", "elsewhere"])
def test_damaged_and_foreign_archives_are_refused(tmp_path, kind):
    tar = write_tar(tmp_path / "a.tar", member(f"{INNER}/a"), mode="w:gz" if kind == "gz" else "w")
    if kind == "truncated":
        tar.write_bytes(tar.read_bytes()[:514])
    if kind == "other":
        tar.write_bytes(b"<html>" * 1000)
    if kind == "empty":
        write_tar(tar)
    if kind == "elsewhere":
        write_tar(tar, member("VOCdevkit", type=tarfile.DIRTYPE))
    with pytest.raises(DataError, match=r"a\.tar"):
        unpack(tar, tmp_path / "VOC2012")
    assert not (tmp_path / "VOC2012").exists()
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE])
@pytest.mark.parametrize("size", [1 << 33, 1 << 62, (1 << 63) + 5, -512])
def test_a_name_of_a_huge_claimed_length_takes_no_memory(tmp_path, kind, size):
    header = member("a", type=kind, size=size).tobuf(tarfile.GNU_FORMAT)
    (tmp_path / "a.tar").write_bytes(header + b"\0" * 4096)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"a\.tar"):
            unpack(tmp_path / "a.tar", tmp_path / "VOC2012")
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_a_chain_of_long_names_and_a_negative_size_are_refused(tmp_path):
    long = member("a", type=tarfile.GNUTYPE_LONGNAME, size=5).tobuf(tarfile.GNU_FORMAT) + b"name\0".ljust(512, b"\0")
    (tmp_path / "a.tar").write_bytes(long * 5000 + b"\0" * 1024)
    with pytest.raises(DataError, match=r"a\.tar"):
        unpack(tmp_path / "a.tar", tmp_path / "VOC2012")
    back = member(f"{INNER}/a", size=-512).tobuf(tarfile.GNU_FORMAT)
    (tmp_path / "a.tar").write_bytes(back + b"\0" * 1024)
    with pytest.raises(DataError, match=r"a\.tar"):
        unpack(tmp_path / "a.tar", tmp_path / "VOC2012")
