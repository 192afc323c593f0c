"""`manifest.json`: what was done in a run, stage by stage, in a schema that is checked when read.

Its field "sha256" is the hash of all others, as JSON with sorted keys and no blanks: damage and unnoticed edits are
found when it is read. Who edits it knowingly takes the line "sha256" out; without it the file is accepted as it is, and
the next stage writes it anew.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticSerializationError

from recam_cli import __version__
from recam_cli.core.bounded import read_json
from recam_cli.core.errors import RunError
from recam_cli.core.printable import printable
from recam_cli.core.runs.figures import require_figures, require_numbers
from recam_cli.core.runs.files import write_text

SCHEMA_VERSION: Literal[1] = 1
MANIFEST_NAME = "manifest.json"
_HASH = "sha256"


class Output(BaseModel):
    """One artifact: a file with its hash, or a folder with the number of its files and the hash of their list."""

    model_config = ConfigDict(extra="forbid")

    path: str
    count: int = 1
    sha256: str | None = None
    bytes: int = 0


class StageEntry(BaseModel):
    """What one stage did."""

    model_config = ConfigDict(extra="forbid")

    state: Literal["running", "done", "failed", "interrupted"] = "running"
    command: str = ""
    settings: dict[str, Any] = Field(default_factory=dict)
    sources: dict[str, str] = Field(default_factory=dict)
    fingerprint: str = ""
    inputs: dict[str, str] = Field(default_factory=dict)
    outputs: dict[str, Output] = Field(default_factory=dict)
    metrics: dict[str, Any] = Field(default_factory=dict)
    notes: dict[str, Any] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)
    device: str = ""
    started: str = ""
    seconds: float = 0.0
    error: str | None = None

    def require_usable(self) -> None:
        """Pass if its numbers can be shown and its known figures are figures, which the schema leaves open.

        Raises:
            ValueError: it names the first that is not.
        """
        for values in (self.settings, self.metrics, self.notes, {"seconds": self.seconds}):
            require_numbers(values)
        require_figures(self.metrics)


class Manifest(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid")

    schema_version: Literal[1] = SCHEMA_VERSION
    created: str = ""
    stages: dict[str, StageEntry] = Field(default_factory=dict)
    next_command: str = ""

    def save(self, folder: Path) -> None:
        """Write the manifest into `folder`, whole or not at all, with its hash."""
        try:
            content = json.loads(self.model_dump_json())
        except PydanticSerializationError:  # a path that is not UTF-8
            content = json.loads(json.dumps(self.model_dump()))
        text = json.dumps({_HASH: content_hash(content)} | content, indent=2, ensure_ascii=False, allow_nan=False)
        write_text(folder / MANIFEST_NAME, printable(text, keep="\n") + "\n")

    @classmethod
    def load(cls, folder: Path) -> Manifest:
        """Read and check `folder/manifest.json`.

        Raises:
            RunError: missing, damaged, changed since it was written, or of another schema version.
        """
        path = folder / MANIFEST_NAME
        try:
            content = read_json(path)
            noted = content.pop(_HASH, None) if isinstance(content, dict) else None
            _require_own_schema(content, path)
            manifest = cls.model_validate(content)
        except FileNotFoundError:
            raise RunError(
                f"{folder} is not a run: it has no {MANIFEST_NAME}", remedy="Start one with: recam train-cls"
            ) from None
        except OSError as error:
            raise RunError(f"{path}: cannot be read: {error.strerror}", remedy="Restore the file") from error
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise RunError(
                f"{path}: damaged at {place}: {first['msg']}", remedy="Restore the file or start anew"
            ) from None
        except ValueError as error:
            raise RunError(f"{path}: not valid JSON: {error}", remedy="Restore the file or start a new run") from None
        for name, entry in manifest.stages.items():
            _require_usable(entry, f"{path}: damaged at stages.{name}")
        if noted is not None and noted != content_hash(content):
            raise RunError(
                f"{path}: damaged or edited: its content does not match its hash",
                remedy=f'Restore the file, or if you edited it knowingly, take out the line "{_HASH}" at its top',
            )
        return manifest


def content_hash(content: Any) -> str:
    """Return the hex SHA-256 of JSON-like content, whatever the order of its keys."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _require_own_schema(content: Any, path: Path) -> None:
    """Refuse a manifest of another schema, which is not damaged; what is no number the model tells."""
    schema = content.get("schema_version") if isinstance(content, dict) else None
    if type(schema) is not int or schema == SCHEMA_VERSION:
        return
    kind = "a newer" if schema > SCHEMA_VERSION else "another"
    theirs = _version_in(content)
    raise RunError(
        f"{path}: written by {kind} version of recam{f', {theirs}' if theirs else ''}; this is {__version__}",
        remedy="Go on with that version, or start a new run",
    )


def _version_in(content: dict[str, Any]) -> str | None:
    """Return the version of recam that the last stage records, whatever else the content is."""
    stages = content.get("stages")
    found = [
        entry["versions"]["recam"]
        for entry in (stages.values() if isinstance(stages, dict) else ())
        if isinstance(entry, dict) and isinstance(entry.get("versions"), dict) and "recam" in entry["versions"]
    ]
    return str(found[-1])[:40] if found else None


def _require_usable(entry: StageEntry, place: str) -> None:
    try:
        entry.require_usable()
    except ValueError as error:
        raise RunError(f"{place}: {error}", remedy="Restore the file or start anew") from None
