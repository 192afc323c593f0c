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

from recam_cli.core.errors import RunError
from recam_cli.core.runs.files import write_json

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


class Manifest(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid")

    schema_version: Literal[1] = SCHEMA_VERSION
    created: str = ""
    stages: dict[str, StageEntry] = Field(default_factory=dict)
    next_command: str = ""

    def save(self, folder: Path) -> None:
        """Write the manifest into `folder`, whole or not at all, with its hash."""
        content = json.loads(self.model_dump_json())
        write_json(folder / MANIFEST_NAME, {_HASH: content_hash(content)} | content)

    @classmethod
    def load(cls, folder: Path) -> Manifest:
        """Read and check `folder/manifest.json`.

        Raises:
            RunError: missing, damaged, changed since it was written, or of another schema version.
        """
        path = folder / MANIFEST_NAME
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            noted = content.pop(_HASH, None) if isinstance(content, dict) else None
            manifest = cls.model_validate(content)
        except FileNotFoundError:
            raise RunError(
                f"{folder} is not a run: it has no {MANIFEST_NAME}", remedy="Start one with: recam train-cls"
            ) from None
        except OSError as error:
            raise RunError(f"{path}: cannot be read: {error.strerror}") from error
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise RunError(
                f"{path}: damaged at {place}: {first['msg']}", remedy="Restore the file or start anew"
            ) from None
        except (ValueError, RecursionError) as error:
            raise RunError(f"{path}: not valid JSON: {error}", remedy="Restore the file or start a new run") from None
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
