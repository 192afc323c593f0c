"""The class names of a data set, in the order of mask values 1, 2, …"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

from recam_cli.core.data.limits import MAX_CLASSES
from recam_cli.core.data.text import read_lines
from recam_cli.core.errors import DataError

CLASSES_NAME = "classes.txt"
NOTHING = ("background", "none", "negative", "negatives", "nothing", "_background_", "empty")
"""What folders and labels of photographs that show none of the classes are called, in any case."""
_MOST_LINES = 10_000


def read_classes(path: Path) -> tuple[str, ...]:
    """Read one class name per line; line k (from 1) names mask value k. Blank lines at the end do not count.

    Raises:
        DataError: a blank line in between (it would shift the mask values), or as `check_classes`.
    """
    lines = [clean_name(line) for line in read_lines(path, "list of classes", most=_MOST_LINES)]
    while lines and not lines[-1]:
        lines.pop()
    if "" in lines:
        raise DataError(
            f"{path}: line {lines.index('') + 1} is blank, but line k names mask value k",
            remedy="Remove blank lines",
        )
    return check_classes(lines, path)


def says_nothing(name: str, classes: Iterable[str] = ()) -> bool:
    """Return whether `name` says that a photograph shows no class, as no class of that name does."""
    word = name.casefold()
    return word in NOTHING and all(word != known.casefold() for known in classes)


def clean_name(name: str) -> str:
    """Return the name in Unicode's composed form, with single blanks."""
    return " ".join(unicodedata.normalize("NFC", name).split())


def check_classes(names: Sequence[str], source: Path) -> tuple[str, ...]:
    """Return the names as a tuple.

    Raises:
        DataError: none, more than 254, two that differ at most in case, one with "," or ";", or "background".
    """
    if not names:
        raise DataError(f"{source}: no class names", remedy="Name at least one class")
    if len(names) > MAX_CLASSES:
        raise DataError(
            f"{source}: {len(names)} classes, but mask values allow {MAX_CLASSES}",
            remedy="Merge or drop classes",
        )
    seen: dict[str, str] = {}
    for name in names:
        if name.casefold() == "background":
            raise DataError(
                f"{source}: 'background' is no class: it is mask value 0 without being named",
                remedy="Remove it",
            )
        if "," in name or ";" in name or any(unicodedata.category(c) in ("Cc", "Cs") for c in name):
            raise DataError(
                f"{source}: class name {name!r} contains a comma, semicolon or control character",
                remedy="Rename it",
            )
        other = seen.setdefault(name.casefold(), name)
        if other is not name:
            twice = f"class {name!r} occurs twice" if other == name else f"{other!r} and {name!r} differ in case only"
            raise DataError(f"{source}: {twice}", remedy="Give every class one spelling")
    return tuple(names)
