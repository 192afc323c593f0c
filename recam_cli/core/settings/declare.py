"""How a setting is declared: a dataclass field with its help, panel and range.

The command line, the config file, the manifest and the reference table all derive from these declarations.
Fields have plain types only: bool, int, float, str, Path, each possibly `| None`, `Literal[…]` of strings, and
`tuple[X, ...]` (comma-separated on the command line, a list in TOML).
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

from recam_cli.core.errors import UsageError

Part = TypeVar("Part")
OPEN = "auto"
"""In config files: a number that is left to the data, None in a settings object."""


@dataclass(frozen=True)
class Declaration:
    """What is known about one setting besides its name, type and default."""

    help: str
    panel: str
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    short: str | None = None
    instead_of: str | None = None
    check: Callable[[Any, str], None] | None = None


def setting(
    default: Any,
    help: str,  # noqa: A002 - the word users see
    *,
    panel: str,
    minimum: float | None = None,
    maximum: float | None = None,
    above: float | None = None,
    short: str | None = None,
    instead_of: str | None = None,
    check: Callable[[Any, str], None] | None = None,
) -> Any:
    """Declare one field of a settings dataclass.

    Args:
        default: its value when neither flag, file nor preset gives one.
        help: one or two lines for `--help` and the reference table.
        panel: the group it is listed in.
        minimum: smallest allowed value, itself allowed.
        maximum: largest allowed value, itself allowed.
        above: a bound the value must exceed.
        short: one-letter flag such as "-q".
        instead_of: name of the setting that this one takes the place of, unless it has its default. Where that one is
            given by flag or file and this one is not, this one falls back to its default.
        check: raises UsageError of a value (not None) that cannot be; its second argument names the value's origin.
    """
    declaration = Declaration(help, panel, minimum, maximum, above, short, instead_of, check)
    return field(default=default, metadata={"declaration": declaration})


@dataclass(frozen=True)
class Setting:
    """One declared setting, as read back from a settings class."""

    name: str
    kind: Any
    default: Any
    declaration: Declaration

    @property
    def flag(self) -> str:
        """The command-line flag, e.g. `--weight-decay`."""
        return "--" + self.name.replace("_", "-")

    @property
    def open_by_word(self) -> bool:
        """Whether None, which TOML cannot say, is another value than the default, and written `OPEN`."""
        return self.default is not None and _without_none(self.kind) in (int, float) and self.kind not in (int, float)

    @property
    def choices(self) -> tuple[str, ...]:
        """The allowed words of a `Literal` setting; empty for all others."""
        kind = _without_none(self.kind)
        return typing.get_args(kind) if typing.get_origin(kind) is Literal else ()

    def parse(self, value: Any, where: str) -> Any:
        """Convert and check `value` (from a flag, TOML or JSON).

        Raises:
            UsageError: it has the wrong type or lies outside the range; `where` names its origin.
        """
        if value == OPEN and self.open_by_word:
            return None
        try:
            result = _convert(self.kind, value)
        except (TypeError, ValueError, OverflowError):
            raise UsageError(f"{where}: {value!r} is not {_describe(self.kind)}") from None
        for item in result if isinstance(result, tuple) else (result,):
            self._check_range(item, where)
        if self.declaration.check is not None and result is not None:
            self.declaration.check(result, where)
        return result

    def _check_range(self, value: Any, where: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return
        d = self.declaration
        if value != value:
            raise UsageError(f"{where}: not a number")
        if d.minimum is not None and value < d.minimum:
            raise UsageError(f"{where}: {value} is below the smallest allowed value {d.minimum}")
        if d.maximum is not None and value > d.maximum:
            raise UsageError(f"{where}: {value} is above the largest allowed value {d.maximum}")
        if d.above is not None and value <= d.above:
            raise UsageError(f"{where}: {value} must be greater than {d.above}")


def settings_of(cls: type[Any]) -> Mapping[str, Setting]:
    """Return the declared settings of a settings dataclass by field name, in order of declaration."""
    return _settings_of(cls)  # type: ignore[arg-type]


@cache
def _settings_of(cls: Any) -> Mapping[str, Setting]:
    hints = typing.get_type_hints(cls)
    return types.MappingProxyType(
        {
            f.name: Setting(f.name, hints[f.name], f.default, f.metadata["declaration"])
            for f in dataclasses.fields(cls)
            if "declaration" in f.metadata
        }
    )


def as_plain(settings: Any) -> dict[str, Any]:
    """Return a settings object as JSON-ready values (paths as strings, tuples as lists)."""
    return {name: _plain(getattr(settings, name)) for name in settings_of(type(settings))}


def part_of(cls: type[Part], settings: Any, **others: Any) -> Part:
    """Return the settings class `cls` filled from a larger settings object that has all its settings, or `others`."""
    return cls(**{name: getattr(settings, name) for name in settings_of(cls) if name not in others}, **others)


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return [_plain(v) for v in value] if isinstance(value, tuple) else value


def _without_none(kind: Any) -> Any:
    if typing.get_origin(kind) in (Union, types.UnionType):
        rest = [k for k in typing.get_args(kind) if k is not types.NoneType]
        return rest[0] if len(rest) == 1 else kind
    return kind


def _convert(kind: Any, value: Any) -> Any:
    if value is None:
        if _without_none(kind) is kind:
            raise TypeError
        return None
    kind = _without_none(kind)
    origin = typing.get_origin(kind)
    if origin is tuple:
        parts = [p for p in value.split(",") if p.strip()] if isinstance(value, str) else value
        if not isinstance(parts, list | tuple) or not parts:
            raise TypeError
        return tuple(_convert(typing.get_args(kind)[0], p.strip() if isinstance(p, str) else p) for p in parts)
    if origin is Literal:
        if value not in typing.get_args(kind):
            raise ValueError
        return value
    return _convert_scalar(kind, value)


def _convert_scalar(kind: Any, value: Any) -> Any:
    if kind is bool:
        if not isinstance(value, bool):
            raise TypeError
        return value
    if isinstance(value, bool):
        raise TypeError
    if kind is int and isinstance(value, float):
        raise TypeError
    if kind is str and isinstance(value, int | float):
        return str(value)  # `threshold = 0.3` in TOML, where the setting also takes words
    if kind in (str, Path) and not isinstance(value, str | Path):
        raise TypeError
    return kind(value)


def _describe(kind: Any) -> str:
    kind = _without_none(kind)
    if typing.get_origin(kind) is Literal:
        return "one of " + ", ".join(typing.get_args(kind))
    if typing.get_origin(kind) is tuple:
        return f"a comma-separated list ({_describe(typing.get_args(kind)[0])} each)"
    return {bool: "true or false", int: "a whole number", float: "a number", Path: "a path"}.get(kind, "text")
