"""Hostile names, links, special files and tables: what each is, and what must become of it."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from recam_cli.core.data.images import write_image
from tests.helpers.tiny_data import draw_photo


@dataclass(frozen=True)
class HostileEntry:
    """One entry of a folder of photographs.

    Attributes:
        name: how messages show it, or part of that.
        make: makes it in a folder; `photo` is an intact photograph elsewhere.
        problem: what the check must say about it, or None where it is to be read.
        severity: of what it says.
    """

    name: str
    make: Callable[[Path, Path], None]
    problem: str | None = None
    severity: str = "error"


def _copy(name: str | bytes) -> Callable[[Path, Path], None]:
    def make(folder: Path, photo: Path) -> None:
        (folder / os.fsdecode(name)).write_bytes(photo.read_bytes())

    return make


def _link(name: str, target: str) -> Callable[[Path, Path], None]:
    return lambda folder, photo: (folder / name).symlink_to(target)


def _socket(folder: Path, photo: Path) -> None:
    here = Path.cwd()
    os.chdir(folder)  # a socket's path may have a hundred bytes only
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("socket.jpg")
    finally:
        os.chdir(here)


ENTRIES = (
    HostileEntry("pipe.jpg", lambda folder, photo: os.mkfifo(folder / "pipe.jpg"), "not a plain file"),
    HostileEntry("socket.jpg", _socket, "not a plain file"),
    HostileEntry("zero.jpg", _link("zero.jpg", "/dev/zero"), "not a plain file"),
    HostileEntry("null.jpg", _link("null.jpg", "/dev/null"), "not a plain file"),
    HostileEntry("dangling.jpg", _link("dangling.jpg", "nowhere.jpg"), "no such image"),
    HostileEntry("loop.jpg", _link("loop.jpg", "loop.jpg"), "symbolic links"),
    HostileEntry("passwords.jpg", _link("passwords.jpg", "/etc/passwd"), "not a readable image"),
    HostileEntry("outside.jpg", lambda folder, photo: (folder / "outside.jpg").symlink_to(photo)),
    HostileEntry("folder.jpg/", lambda folder, photo: (folder / "folder.jpg").mkdir(), "passed over", "warning"),
    HostileEntry(".hidden.jpg", _copy(".hidden.jpg"), "passed over", "warning"),
    HostileEntry("with blanks", _copy("with blanks, and a comma.jpg")),
    HostileEntry("blank at the end", _copy("blank at the end .jpg"), "ends with a blank"),
    HostileEntry("line\\nend", _copy("line\nend.jpg"), "control character"),
    HostileEntry("escape", _copy("escape\x1b[31m.jpg"), "control character"),
    HostileEntry("\\udcff", _copy(b"bytes\xff\xfe.jpg"), "control character"),
    HostileEntry("back\\\\slash", _copy("back\\slash.jpg"), "names a folder"),
    HostileEntry("C:drive", _copy("C:drive.jpg")),
    HostileEntry("Twin.jpg and twin.jpg", lambda f, p: (_copy("Twin.jpg")(f, p), _copy("twin.jpg")(f, p)), "share"),
    HostileEntry("nnnnn", _copy("n" * 230 + ".jpg"), "longer than"),
)


def make_class_folder(root: Path) -> Path:
    """Write a `folder` data set of two classes, one of them with every entry; returns that folder."""
    for index in range(6):
        write_image(root / "bus" / f"plain_{index}.jpg", draw_photo((0,), seed=index)[0])
        write_image(root / "cat" / f"plain_{index}.jpg", draw_photo((1,), seed=index)[0])
    for entry in ENTRIES:
        entry.make(root / "cat", root / "bus" / "plain_0.jpg")
    return root / "cat"


@dataclass(frozen=True)
class HostileTable:
    """A label file: its name, its bytes, and what the error must say; None where it is to be read."""

    file: str
    data: bytes
    refused: str | None = None


_ROWS = b"img_000,bus\nimg_001,cat\nimg_002,bus\nimg_003,dog\nimg_004,cat\nimg_005,dog\n"
_CSV = b"image,labels\n" + _ROWS
_LABELS = {f"img_{i:03d}": ["cat", "dog", "bus"][i % 3 : i % 3 + 1] for i in range(6)}
_JSON = json.dumps(_LABELS).encode()

TABLES = (
    HostileTable("labels.csv", _CSV.replace(b"\n", b"\r\n")),
    HostileTable("labels.csv", b"\xef\xbb\xbf" + _CSV),
    HostileTable("labels.csv", b"image,labels,note\n" + _ROWS.replace(b"bus", b'bus,"over\nlines, ""quoted"""')),
    HostileTable("labels.csv", b"", "no column 'image'"),
    HostileTable("labels.csv", b"\n\n\n", "no column 'image'"),
    HostileTable("labels.csv", _CSV.decode().encode("utf-16"), "not UTF-8"),
    HostileTable("labels.csv", _CSV + b"caf\xe9,cat\n", "line 8: not UTF-8"),
    HostileTable("labels.csv", _CSV.replace(b"img_001", b"img\0_001"), "control character"),
    HostileTable("labels.csv", _CSV.replace(b"cat", b"c\0at", 1), "unknown label"),
    HostileTable("labels.csv", _CSV + b'"never closed,cat\n', "not CSV"),
    HostileTable("labels.csv", _CSV + b"a" * 200_000 + b",cat\n", "field larger"),
    HostileTable("labels.csv", _CSV + b"b" * 100_000 + b",cat\n", "longer than 200 bytes"),
    HostileTable("labels.csv", _CSV.replace(b"cat", b"c" * 100_000, 1), "unknown label"),
    HostileTable("labels.csv", _CSV + b"../../etc/passwd,cat\n", "names a folder"),
    HostileTable("labels.csv", _CSV + b"img_000,cat\n", "occurs twice"),
    HostileTable("labels.csv", _CSV + b"IMG_000,cat\n", "differ in case"),
    HostileTable("labels.csv", _CSV + b"," * 1_000_000 + b"\n"),
    HostileTable("labels.json", _JSON),
    HostileTable("labels.json", b"\xef\xbb\xbf" + _JSON),
    HostileTable("labels.json", b"", "not JSON"),
    HostileTable("labels.json", b"[" * 100_000, "nested too deeply|not JSON"),
    HostileTable("labels.json", b'{"img_000": ' * 100_000, "nested too deeply|not JSON"),
    HostileTable("labels.json", _JSON[:-1] + b', "img_000": ["dog"]}', "occurs twice"),
    HostileTable("labels.json", _JSON[:-1] + b', "a": NaN}', "not a list of names"),
    HostileTable("labels.json", _JSON[:-1] + b', "a": [-Infinity]}', "not a list of names"),
    HostileTable("labels.json", _JSON[:-1] + b', "a": 1e999}', "not a list of names"),
    HostileTable("labels.json", _JSON[:-1] + b', "a": ' + b"9" * 10_000 + b"}", "not JSON"),
    HostileTable("labels.json", _JSON[:-1] + b', "a": {"b": ["cat"]}}', "not a list of names"),
    HostileTable("labels.json", _JSON[:-1] + b', "\\ud800": ["cat"]}', "control character"),
    HostileTable("labels.json", _JSON.replace(b"cat", b"\\ud800", 1), "unknown label"),
    HostileTable("labels.json", b'"img_000"', "not a JSON object"),
    HostileTable("labels.json", _JSON.decode().encode("utf-16"), "not UTF-8"),
)
"""Labels of `make_custom`'s six images."""

CONFIGS = (
    b"[train-cls",
    b"[train-cls]\nepochs = ",
    b"\xff\xfe[\0t\0",
    b"[train-cls]\nepochs = 'three'\n",
    b"[train-cls]\nlr = " + b"9" * 400 + b"\n",
    b"[train-cls]\nlr = " + b"9" * 5000 + b"\n",
    b"[train-cls]\nlr = nan\n",
    b"[train-cls]\nepochs = 1e9\n",
    b"[train-cls]\nlong-side = " + b"[" * 2000 + b"]" * 2000 + b"\n",
    b"[train-cls]\nlong-side = " + b"{a=" * 2000 + b"1" + b"}" * 2000 + b"\n",
    b"a" + b".a" * 30_000 + b" = 1\n",
    b"[" + b"a." * 30_000 + b"a]\n",
    b"#" * 200_000,
    b"[train-cls]\nepochs = 3\nepochs = 3\n",
    b"[[train-cls]]\nepochs = 3\n",
    b"train-cls = 3\n",
    b"[train-cls]\nepoch = 3\n",
    b"[train-cls]\ndata-root = ['a']\n",
)
"""Config files that must be refused."""
