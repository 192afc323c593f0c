"""Where each setting's value comes from: flag > config file > preset > run > default."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from recam_cli.core.errors import RunError, UsageError
from recam_cli.core.settings.declare import Setting, settings_of
from recam_cli.core.settings.groups import START_WORDS

S = TypeVar("S")
_MAX_BYTES = 64 << 10
"""Largest config file."""
_TYPED = ("flag", "file")
_MOST_DOTS = 100
"""In one of its lines. Reading a key of many parts takes time and memory that grow with the square of their number."""


@dataclass(frozen=True)
class Resolved(Generic[S]):
    """Settings and, for each, where the value came from ("flag", "file", "preset", "run" or "default")."""

    settings: S
    sources: Mapping[str, str]


def resolve(
    cls: type[S],
    *,
    flags: Mapping[str, Any],
    config: Mapping[str, Any] | None = None,
    preset: Mapping[str, Any] | None = None,
    run: Mapping[str, Any] | None = None,
    config_name: str = "config file",
    run_name: str = "the run's manifest",
) -> Resolved[S]:
    """Merge the layers into one settings object.

    Args:
        cls: the settings dataclass.
        flags: values given on the command line; None means "not given".
        config: one stage's table of the TOML file; keys may use - or _.
        preset: a published recipe's values.
        run: values taken over from the run directory (e.g. the data set of `train-cls`).
        config_name: how messages name the config file.
        run_name: how messages name the manifest that `run` comes from.

    Raises:
        UsageError: an unknown key (the closest one is suggested) or a value of wrong type or range.
        RunError: a value of `run` has the wrong type or range.
    """
    known = settings_of(cls)
    file_values = {_known_key(key, known, config_name): value for key, value in (config or {}).items()}
    layers: tuple[tuple[str, Mapping[str, Any]], ...] = (
        ("flag", {k: v for k, v in flags.items() if v is not None}),
        ("file", file_values),
        ("preset", preset or {}),
        ("run", run or {}),
    )
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for name, declared in known.items():
        origin = next((o for o, layer in layers if name in layer), "default")
        sources[name] = origin
        if origin == "default":
            values[name] = declared.default
        else:
            value = dict(layers)[origin][name]
            if origin == "run":
                values[name] = _recorded(declared, value, f"{run_name}: recorded {name}")
            else:
                where = f"{config_name}: {name}" if origin == "file" else declared.flag
                values[name] = declared.parse(value, where)
    for name, declared in known.items():  # what was typed wins over a preset's other way to say it
        other = declared.declaration.instead_of
        if other is not None and sources[other] in _TYPED and sources[name] not in _TYPED:
            values[name], sources[name] = declared.default, "default"
    return Resolved(cls(**values), sources)


_INPUT_PATHS = ("data_root", "labels", "label_file", "irn_weights", "psa_weights")
_WORDS_OR_PATHS = ("weights", "init", "irn_init", "psa_init")


def with_absolute_paths(resolved: Resolved[S]) -> Resolved[S]:
    """Make paths of what is read absolute, so that later stages and `rerun` find it from anywhere."""
    settings: Any = resolved.settings
    values = {name: getattr(settings, name, None) for name in (*_INPUT_PATHS, *_WORDS_OR_PATHS)}
    changes: dict[str, Any] = {name: value.absolute() for name, value in values.items() if isinstance(value, Path)}
    for name in _WORDS_OR_PATHS:
        value = values[name]
        if isinstance(value, str) and value not in START_WORDS and Path(value).is_file():
            changes[name] = str(Path(value).absolute())
    return Resolved(replace(settings, **changes), resolved.sources)


def _recorded(declared: Setting, value: Any, where: str) -> Any:
    try:
        return declared.parse(value, where)
    except UsageError as error:  # nothing that was typed
        raise RunError(error.message, remedy="Restore the file, or start a new run") from None


def read_config(path: Path, stage: str, *, tables: Collection[str] = ()) -> dict[str, Any]:
    """Read one stage's table of a TOML config file, e.g. `[train-cls]`; missing table: no values.

    Args:
        path: the file.
        stage: whose table.
        tables: the names a table may have; without them any.

    Raises:
        UsageError: as `read_tables`.
    """
    return read_tables(path, stage, tables=tables).get(stage, {})


def read_tables(path: Path, stage: str, *, tables: Collection[str] = ()) -> dict[str, dict[str, Any]]:
    """Read all tables of a TOML config file, by stage.

    Args:
        path: the file.
        stage: whose table an entry outside of any should stand in.
        tables: the names a table may have; without them any.

    Raises:
        UsageError: the file is missing, is not TOML, or the entry is not a table, or a table's name is unknown.
    """
    try:
        with path.open("rb") as file:  # not only plain files: `--config <(…)` is a pipe
            data = file.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            raise UsageError(f"{path}: more than {_MAX_BYTES >> 10} kB are no config file", remedy="Correct --config")
        text = data.decode("utf-8-sig")
        _require_short_keys(text, path)
        found = tomllib.loads(text)
    except OSError as error:
        raise UsageError(f"{path}: cannot read the config file: {error.strerror}", remedy="Correct --config") from error
    except (ValueError, RecursionError) as error:  # tomllib.TOMLDecodeError and UnicodeDecodeError among them
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise UsageError(f"{path}: not a TOML file: {reason}", remedy="Correct the file") from None
    loose = [key for key, value in found.items() if not isinstance(value, dict)]
    if loose:
        raise UsageError(f"{path}: {loose[0]} stands outside a table", remedy=f"Write it below [{stage}]")
    strange = [key for key in found if tables and key.replace("_", "-") not in tables]
    if strange:
        close = difflib.get_close_matches(strange[0], tables, n=1)
        hint = f"Did you mean [{close[0]}]?" if close else f"Known are {', '.join(tables)}"
        raise UsageError(f"{path}: unknown table [{strange[0]}]", remedy=hint)
    spelled: dict[str, dict[str, Any]] = {}
    for name in sorted(found, key=lambda key: "-" in key):  # of both spellings the stage's own
        spelled[name.replace("_", "-")] = dict(found[name])
    return spelled


def _require_short_keys(text: str, path: Path) -> None:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.count(".") > _MOST_DOTS:
            raise UsageError(f"{path}: line {number}: more than {_MOST_DOTS} dots", remedy="Break the line")


def _known_key(key: str, known: Mapping[str, Any], config_name: str) -> str:
    name = key.replace("-", "_")
    if name in known:
        return name
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"Did you mean {close[0]}?" if close else f"Known are {', '.join(known)}"
    raise UsageError(f"{config_name}: unknown key {key}", remedy=hint)
