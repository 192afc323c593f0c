"""What may be the id of an image: a plain file name without suffix, which seeds and masks bear too."""

from __future__ import annotations

import re
import unicodedata

from recam_cli.core.data.images import PHOTO_SUFFIXES

MAX_ID_BYTES = 200
"""Leaves room below the 255 bytes a file name may have, for suffixes and temporary names."""

_DRIVE = re.compile("[A-Za-z]:")
_INVISIBLE = ("Cc", "Cs", "Zl", "Zp")


def id_of(name: str) -> str:
    """Return the id meant by `name`, which may be a photograph's file name: "a.jpg" and "a" mean "a".

    Ids are in Unicode's composed form (NFC), so that an "é" typed on one system finds the file of another.
    """
    name = unicodedata.normalize("NFC", name)
    return name[: name.rindex(".")] if name.lower().endswith(PHOTO_SUFFIXES) else name


def id_fault(image_id: str) -> str | None:
    """Return why `image_id` cannot be an id, or None if it can.

    Refused: the empty id, folders of any kind ("a/b", "../a", "C:a"), hidden names (".a"), line ends and
    other control characters, blanks at either end, and more than `MAX_ID_BYTES` bytes.
    """
    if not image_id:
        return "an empty id"
    if _has_invisible(image_id):
        return f"id {_shown(image_id)} contains a control character"
    if "/" in image_id or "\\" in image_id or _DRIVE.match(image_id):
        return f"id {_shown(image_id)} names a folder"
    if image_id.startswith("."):
        return f"id {_shown(image_id)} begins with a dot"
    if image_id != image_id.strip():
        return f"id {_shown(image_id)} begins or ends with a blank"
    if len(image_id.encode("utf-8")) > MAX_ID_BYTES:
        return f"id {_shown(image_id)} is longer than {MAX_ID_BYTES} bytes"
    return None


def folded(image_id: str) -> str:
    """Return the id as a file system sees it that ignores case; two ids with equal ones would share files."""
    return unicodedata.normalize("NFC", image_id.casefold())


def _has_invisible(image_id: str) -> bool:
    if image_id.isascii() and image_id.isprintable():  # nearly all ids, told quickly
        return False
    return any(unicodedata.category(c) in _INVISIBLE for c in image_id)


def _shown(image_id: str) -> str:
    text = ascii(image_id) if _has_invisible(image_id) else repr(image_id)
    return text if len(text) <= 60 else f"{text[:57]}…"
