"""The objects of a VOC annotation, `Annotations/<id>.xml`, read without the dangers of XML.

Expat is used directly: document types and entity declarations are refused at their first character, so
neither entity expansion nor external files can occur, whatever the encoding.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.parsers import expat

from recam_cli.core.bounded import read_bounded
from recam_cli.core.errors import DataError

MAX_ANNOTATION_BYTES = 4 << 20
_MAX_OBJECTS, _MAX_NAME = 10_000, 200
_OBJECT = ["annotation", "object"]
_REMEDY = "Restore the file from the devkit"


@dataclass(frozen=True)
class AnnotatedObject:
    """One `<object>`: its class name, and whether it is marked as difficult to recognise."""

    name: str
    difficult: bool


class _RefusedError(Exception):
    pass


def read_annotation(path: Path) -> tuple[AnnotatedObject, ...]:
    """Return the objects in the file's order; names of their parts (head, hand, foot) are not objects.

    Raises:
        DataError: missing, not XML, too large, with a document type or entities, or an object without a name.
    """
    try:
        data = read_bounded(path, MAX_ANNOTATION_BYTES)
    except FileNotFoundError:
        raise DataError(f"{path}: no such annotation", remedy=_REMEDY) from None
    except OSError as error:
        raise DataError(f"{path}: cannot read the annotation: {error.strerror}", remedy=_REMEDY) from error
    collector = _Collector()
    try:
        collector.parse(data)
    except _RefusedError as refused:
        raise DataError(f"{path}: {refused}", remedy=_REMEDY) from None
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise DataError(f"{path}: not XML: {error}", remedy=_REMEDY) from None
    return tuple(collector.objects)


class _Collector:
    """Collects name and difficult of each annotation/object; texts deeper down are passed over."""

    def __init__(self) -> None:
        self.objects: list[AnnotatedObject] = []
        self._path: list[str] = []
        self._fields: dict[str, str] = {}

    def parse(self, data: bytes) -> None:
        parser = expat.ParserCreate()
        parser.buffer_text = True  # else a text of many lines comes in as many pieces, each longer than the last
        parser.StartDoctypeDeclHandler = _refuse
        parser.EntityDeclHandler = _refuse
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.Parse(data, True)

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if not self._path and tag != "annotation":
            raise _RefusedError(f"<{tag[:40]}> instead of a VOC <annotation>")
        self._path.append(tag)
        if self._path == _OBJECT:
            self._fields = {}

    def _text(self, text: str) -> None:
        if len(self._path) == 3 and self._path[:2] == _OBJECT and self._path[2] in ("name", "difficult"):
            self._fields[self._path[2]] = self._fields.get(self._path[2], "") + text

    def _end(self, tag: str) -> None:
        if self._path == _OBJECT:
            name = self._fields.get("name", "").strip()
            if not name or len(name) > _MAX_NAME:
                raise _RefusedError("an object without a name, or with an endless one")
            if len(self.objects) == _MAX_OBJECTS:
                raise _RefusedError(f"more than {_MAX_OBJECTS} objects")
            self.objects.append(AnnotatedObject(name, self._fields.get("difficult", "0").strip() == "1"))
        self._path.pop()


def _refuse(*details: object) -> None:
    raise _RefusedError("a document type or entity declaration, which annotations never have")
