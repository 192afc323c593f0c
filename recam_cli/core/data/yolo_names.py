"""The class names of a YOLO data set: the one key `names` of its data.yaml, read without a YAML library."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from recam_cli.core.bounded import is_there
from recam_cli.core.data.classes import CLASSES_NAME, check_classes, clean_name, read_classes
from recam_cli.core.data.layout import file_names
from recam_cli.core.data.problems import some
from recam_cli.core.data.text import read_lines
from recam_cli.core.errors import DataError

_FIRST = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
_KEY = re.compile(r"""(?:names|"names"|'names')\s*:(?P<rest>.*)""")
_ITEM = re.compile(r"\s*-(?:\s+(?P<name>.*))?")
_NUMBERED = re.compile(r"""\s+["']?(?P<number>\d{1,4})["']?\s*:\s(?P<name>.*)""")
_TOKEN = re.compile(r"""\s*(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^,\[\]{}:"']+|[,:])""")
_MOST_LINES, _LONGEST = 100_000, 1 << 16
_REMEDY = 'Write names: ["<class>", …], in the order of the numbers'


def read_names(root: Path) -> tuple[str, ...]:
    """Return the class names of the data set at `root`, in the order of their numbers.

    Raises:
        DataError: no file has them, two YAML files do, or they cannot be read.
    """
    yaml = _yaml_file(root)
    if yaml is not None:
        return check_classes([clean_name(name) for name in _names_in(yaml)], yaml)
    for path in (root / CLASSES_NAME, root / "labels" / CLASSES_NAME, root / "obj.names"):
        if is_there(path):
            return read_classes(path)
    raise DataError(f"{root}: no names of the classes", remedy=f"Write data.yaml with names: […], or {CLASSES_NAME}")


def _yaml_file(root: Path) -> Path | None:
    found = [name for name in file_names(root) if name.lower().endswith((".yaml", ".yml"))]
    first = next((name for name in _FIRST if name in found), None)
    if first is not None:
        return root / first
    having = [name for name in found if any(_KEY.fullmatch(line) for line in _lines(root / name))]
    if len(having) > 1:
        raise DataError(f"{root}: {some(having)} all name classes", remedy="Call the right one data.yaml")
    return root / having[0] if having else None


def _lines(path: Path) -> list[str]:
    return read_lines(path, "list of class names", most=_MOST_LINES)


def _names_in(path: Path) -> list[str]:
    lines = _lines(path)
    for number, line in enumerate(lines):
        if (found := _KEY.fullmatch(line)) is not None:
            rest = _uncommented(found["rest"]).strip()
            if rest[:1] in ("[", "{"):
                return _flow(rest, lines[number + 1 :], path)
            if rest:
                raise DataError(f"{path}: line {number + 1}: names is {rest[:40]!r}, no list", remedy=_REMEDY)
            return _block(lines, number + 1, path)
    raise DataError(f"{path}: no names of the classes", remedy=_REMEDY)


def _block(lines: list[str], begin: int, path: Path) -> list[str]:
    """Read `- name` or `3: name` lines up to the next key."""
    plain: list[str] = []
    numbered: list[tuple[int, str]] = []
    for number, line in enumerate(lines[begin:], start=begin + 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if (item := _ITEM.fullmatch(line)) is not None:
            plain.append(_scalar(item["name"] or "", number, path))
        elif (item := _NUMBERED.fullmatch(line)) is not None:
            numbered.append((int(item["number"]), _scalar(item["name"], number, path)))
        elif line[:1].isspace():
            raise DataError(f"{path}: line {number}: neither '- name' nor '<number>: name'", remedy=_REMEDY)
        else:
            break
    if plain and numbered:
        raise DataError(f"{path}: names are both listed and numbered", remedy=_REMEDY)
    return plain or _in_order(numbered, path)


def _flow(first: str, rest: list[str], path: Path) -> list[str]:
    """Read `[a, b]` or `{0: a, 1: b}`, which may go over several lines."""
    text, closing = first, "]" if first[0] == "[" else "}"
    for line in rest:
        if closing in text or len(text) > _LONGEST:
            break
        text += " " + _uncommented(line).strip()
    tokens = list(_tokens(text[1:], closing, path))
    items: list[list[str]] = [[]]
    for token in tokens:
        if token == ",":
            items.append([])
        else:
            items[-1].append(token)
    items = [item for item in items if item]
    if closing == "]" and all(len(item) == 1 for item in items):
        return [_scalar(item[0], None, path) for item in items]
    pairs = [(item[0].strip("\"' "), item[2]) for item in items if len(item) == 3 and item[1] == ":"]
    if closing == "]" or len(pairs) != len(items) or not all(key.isdecimal() and len(key) < 5 for key, _ in pairs):
        raise DataError(f"{path}: names cannot be read", remedy=_REMEDY)
    return _in_order([(int(key), _scalar(name, None, path)) for key, name in pairs], path)


def _tokens(text: str, closing: str, path: Path) -> Iterator[str]:
    place = 0
    while text[place:].lstrip()[:1] != closing:
        found = _TOKEN.match(text, place)
        if found is None:
            raise DataError(f"{path}: the names do not end in '{closing}'", remedy=_REMEDY)
        if word := found["text"].strip():
            yield word
        place = found.end()


def _in_order(numbered: list[tuple[int, str]], path: Path) -> list[str]:
    numbered.sort()
    if [number for number, _ in numbered] != list(range(len(numbered))):
        raise DataError(f"{path}: the names are not numbered 0, 1, 2, …", remedy=_REMEDY)
    return [name for _, name in numbered]


def _scalar(text: str, line: int | None, path: Path) -> str:
    text = text.strip()
    if text[:1] in ("'", '"'):
        end = re.match(r"""(?:"(?P<a>(?:[^"\\]|\\.)*)"|'(?P<b>(?:[^']|'')*)')\s*(?:#.*)?$""", text)
        if end is not None:
            return re.sub(r"\\(.)", r"\1", end["a"]) if end["a"] is not None else end["b"].replace("''", "'")
    plain = _uncommented(text).strip()
    if not plain or plain[0] in "&*!|>%@`'\"[{":
        place = f"line {line}: " if line is not None else ""
        raise DataError(f"{path}: {place}{plain[:40]!r} is no plain name", remedy=_REMEDY)
    return plain


def _uncommented(text: str) -> str:
    """Return the text before a comment, which begins with a # after a blank; not one within quotes."""
    quote = ""
    for place, sign in enumerate(text):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"" and (place == 0 or text[place - 1] in " [{,:"):
            quote = sign
        elif sign == "#" and (place == 0 or text[place - 1] in " \t"):
            return text[:place]
    return text
