"""Image-level labels from a CSV or JSON file.

CSV: UTF-8, comma-separated, with a header that names the columns `image` and `labels` (others are ignored).
`image` is the image's id or file name. `labels` holds the class names:

    cat                     one label
    cat dog                 several, separated by blanks
    traffic light;dog       several, separated by ";" (or by ","): needed where class names contain blanks
    (empty)                 the image shows none of the classes; so do "none", "nothing", "background" and the
                            other words of `classes.NOTHING`, alone, unless a line of classes.txt is that word

A cell that is a class name as a whole is that one label. Without classes.txt, blanks separate labels only in
a file without any ";" or ",". Names in an unquoted `a,cat,dog` count as labels too.

JSON: one object `{"<id>": ["cat", "traffic light"], …}`; `[]` (or `["none"]`) where the image shows
none of the classes.

An image of a split must have an entry, even an empty one: a forgotten row is an error, a declared absence is
not.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recam_cli.core.bounded import is_there
from recam_cli.core.data.classes import check_classes, clean_name, says_nothing
from recam_cli.core.data.ids import folded, id_fault, id_of
from recam_cli.core.data.problems import Problem, Tell, did_you_mean, raise_errors, some
from recam_cli.core.data.text import read_text
from recam_cli.core.errors import DataError

LABEL_NAMES = ("labels.csv", "labels.json")
_SEPARATORS = frozenset(";,")
HEADER_REMEDY = "Begin the file with the line: image,labels"


@dataclass(frozen=True)
class Entry:
    """The labels of one image as written: a CSV cell or a JSON list, and where ("line 5", or "" in JSON)."""

    raw: str | tuple[str, ...]
    where: str

    def names(self, classes: Collection[str] | None) -> tuple[str, ...]:
        """Return the label names, none for one of nothing; `classes`, if known, tell a name with blanks from two."""
        names = split_labels(self.raw, classes) if isinstance(self.raw, str) else self.raw
        return () if len(names) == 1 and says_nothing(names[0], classes or ()) else names


@dataclass(frozen=True)
class LabelTable:
    """A label file, with class names not yet looked up.

    Attributes:
        path: the file.
        entries: by image id, in the file's order.
        spellings: the ids by their case-folded form.
    """

    path: Path
    entries: Mapping[str, Entry]
    spellings: Mapping[str, str]

    def vocabulary(self) -> tuple[str, ...]:
        """Return all label names, sorted: the classes of a data set that has no classes.txt.

        Raises:
            DataError: there are none, too many, or two that differ in case only.
        """
        # One ";" or "," anywhere shows that blanks belong to names.
        separated = any(isinstance(e.raw, str) and _SEPARATORS & set(e.raw) for e in self.entries.values())
        names: set[str] = set()
        for entry in self.entries.values():
            known = {clean_name(entry.raw)} if separated and isinstance(entry.raw, str) else None
            names.update(name for name in entry.names(known) if not says_nothing(name))
        return check_classes(sorted(names), self.path)

    def labels_of(self, image_id: str, classes: Mapping[str, int], tell: Tell = raise_errors) -> tuple[int, ...]:
        """Return the image's ascending 0-based class ids; () where it has none, or no entry.

        Args:
            image_id: the image.
            classes: class id by class name.
            tell: receives a missing entry and each unknown label.
        """
        entry = self.entries.get(image_id)
        if entry is None:
            twin = self.spellings.get(folded(image_id))
            remedy = (
                f"It has {twin!r}: write both alike"
                if twin
                else "Add a row for it, with nothing after the comma if it shows none of the classes"
            )
            tell(Problem(self.path, f"no labels for image {image_id!r}", remedy))
            return ()
        found = set()
        for name in entry.names(classes):
            if name in classes:
                found.add(classes[name])
            else:
                tell(self._unknown(name, image_id, entry, classes))
        return tuple(sorted(found))

    def _unknown(self, name: str, image_id: str, entry: Entry, classes: Mapping[str, int]) -> Problem:
        place = f"{entry.where}: " if entry.where else ""
        remedy = did_you_mean(name, classes) or f"The classes are {some(classes, 30)}"
        if says_nothing(name, classes):
            remedy = f"{name!r} says that the image shows none of the classes: leave it, or the other labels, out"
        spaced = next((c for c in classes if " " in c and name in c.split()), None)
        if spaced:
            remedy = f"If {spaced!r} is meant, separate the labels by ';'"
        return Problem(self.path, f"{place}unknown label {name!r} of image {image_id!r}", remedy)


def find_labels(root: Path) -> Path | None:
    """Return `labels.csv` or `labels.json` of `root`, or None.

    Raises:
        DataError: both exist.
    """
    found = [root / name for name in LABEL_NAMES if is_there(root / name)]
    if len(found) > 1:
        raise DataError(f"{root}: both {' and '.join(LABEL_NAMES)} exist", remedy="Remove one, or choose with --labels")
    return found[0] if found else None


def read_labels(path: Path, tell: Tell = raise_errors) -> LabelTable:
    """Read a label file by its suffix, .csv or .json.

    Args:
        path: the file.
        tell: receives each id that cannot be one or occurs twice; the entry is then left out.

    Raises:
        DataError: missing, another suffix, not UTF-8, or not of the layout above.
    """
    if path.suffix.lower() not in (".csv", ".json"):
        raise DataError(f"{path}: labels are read from .csv or .json files", remedy="Convert the file")
    text = read_text(path, "label file")
    rows = _csv_rows(text, path) if path.suffix.lower() == ".csv" else _json_rows(text, path)
    entries: dict[str, Entry] = {}
    spellings: dict[str, str] = {}
    for name, entry in rows:
        image_id = id_of(name)
        place = f"{entry.where}: " if entry.where else ""
        fault = id_fault(image_id)
        twin = spellings.get(folded(image_id))
        if fault:
            tell(Problem(path, f"{place}{fault}", "Ids are plain file names, without folders"))
        elif twin is not None:
            same = (
                f"image {image_id!r} occurs twice" if twin == image_id else f"{twin!r} and {image_id!r} differ in case"
            )
            tell(Problem(path, f"{place}{same}", "Keep one row per image, with all its labels"))
        else:
            spellings[folded(image_id)] = image_id
            entries[image_id] = entry
    return LabelTable(path, entries, spellings)


def split_labels(cell: str, classes: Collection[str] | None = None) -> tuple[str, ...]:
    """Split a CSV cell into label names, in order, each once.

    Args:
        cell: the text, e.g. "cat dog" or "traffic light;dog".
        classes: the known names; a cell that is one of them as a whole is not split at blanks.
    """
    whole = clean_name(cell)
    if ";" in whole or "," in whole:
        parts = whole.replace(",", ";").split(";")
    elif classes is not None and whole in classes:
        parts = [whole]
    else:
        parts = whole.split()
    return tuple(dict.fromkeys(name for part in parts if (name := part.strip())))


def _csv_rows(text: str, path: Path) -> list[tuple[str, Entry]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[tuple[str, Entry]] = []
    try:
        header = [cell.strip().lower() for cell in next(reader, [])]
        columns = _columns(header, path)
        rows.extend(
            _csv_entry(cells, columns, len(header), f"line {reader.line_num}", path)
            for cells in reader
            if any(cell.strip() for cell in cells)
        )
    except csv.Error as error:
        raise DataError(f"{path}: line {reader.line_num}: not CSV: {error}", remedy="Correct the line") from None
    return rows


def _columns(header: Sequence[str], path: Path) -> tuple[int, int]:
    for name in ("image", "labels"):
        if header.count(name) != 1:
            how = "no" if name not in header else "more than one"
            other = next((sign for sign in (";", "\t") if any(sign in cell for cell in header)), None)
            remedy = f"Separate the columns by commas, not by {other!r}: labels alone may have ';'"
            raise DataError(
                f"{path}: {how} column {name!r} in the header {some(header, 6)!r}",
                remedy=remedy if other else HEADER_REMEDY,
            )
    return header.index("image"), header.index("labels")


def _csv_entry(cells: Sequence[str], columns: tuple[int, int], width: int, where: str, path: Path) -> tuple[str, Entry]:
    image, labels = columns
    if len(cells) <= max(columns):
        raise DataError(
            f"{path}: {where}: {len(cells)} of {width} columns",
            remedy="Write image,labels; an image without labels still needs its comma",
        )
    more = [cell for cell in cells[width:] if cell.strip()]
    if more and labels != width - 1:
        raise DataError(
            f"{path}: {where}: {len(cells)} columns, but the header has {width}",
            remedy="Quote cells with commas",
        )
    return cells[image].strip(), Entry(";".join([cells[labels], *more]) if more else cells[labels], where)


def _json_rows(text: str, path: Path) -> list[tuple[str, Entry]]:
    try:
        pairs = json.loads(text, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise DataError(f"{path}: not JSON: {reason}", remedy="Correct the file") from None
    if not isinstance(pairs, _Pairs):
        raise DataError(f"{path}: not a JSON object", remedy='Write {"<image>": ["<class>", …], …}')
    return [(name.strip(), Entry(_json_names(name, value, path), "")) for name, value in pairs]


class _Pairs(list[tuple[str, Any]]):
    """A JSON object as its key-value pairs, so that a key given twice is seen."""


def _json_names(image: str, value: Any, path: Path) -> tuple[str, ...]:
    if isinstance(value, _Pairs) or not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise DataError(
            f"{path}: the labels of image {image!r} are not a list of names",
            remedy='Write ["<class>", …], or []',
        )
    return tuple(dict.fromkeys(name for v in value if (name := clean_name(v))))
