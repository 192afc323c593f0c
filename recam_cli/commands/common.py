"""What all commands share: options made from a stage's declared settings, and the context of one call."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import typer

from recam_cli.commands import COMMANDS
from recam_cli.core.errors import RunError
from recam_cli.core.settings.declare import OPEN, Setting, as_plain, settings_of
from recam_cli.core.settings.groups import DataSettings
from recam_cli.core.settings.presets import BY_DATASET, PRESETS, preset_values
from recam_cli.core.settings.resolve import Resolved, read_config, resolve, with_absolute_paths
from recam_cli.terminal import TerminalReporter, print_json

if typing.TYPE_CHECKING:
    from recam_cli.core.runs.run import Run

S = TypeVar("S")
COMMON = "Common"


@dataclass(frozen=True)
class Command:
    """One subcommand.

    Attributes:
        name: as typed.
        settings: its settings class.
        execute: does the work.
        examples: command lines shown in its help.
        details: further help text.
        arguments: positional arguments by name: (type, help).
        needs_run: whether it has `--run`.
        has_preset: whether it has `--preset`.
    """

    name: str
    settings: type[Any]
    execute: Callable[[Call], None]
    examples: tuple[str, ...] = ()
    details: str = ""
    arguments: Mapping[str, tuple[Any, str]] = field(default_factory=dict)
    needs_run: bool = True
    has_preset: bool = False


@dataclass(frozen=True)
class Call:
    """One call of a command: what was typed, before any default is filled in."""

    command: Command
    values: Mapping[str, Any]

    @property
    def json(self) -> bool:
        """Whether stdout carries JSON only."""
        return bool(self.values["json"])

    @property
    def run_path(self) -> Path | None:
        """The directory given with `--run`."""
        return self.values.get("run")

    @property
    def reporter(self) -> TerminalReporter:
        """The reporter this call asks for."""
        return TerminalReporter(quiet=self.values["quiet"], verbose=self.values["verbose"])

    def resolve(self, cls: type[S], *, run: Run | None = None, begun: Mapping[str, Any] | None = None) -> Resolved[S]:
        """Merge flags, config file, preset, run and defaults into settings of `cls`.

        A stage that goes on takes what is not given from the settings it was `begun` with. Ends the program after
        printing them, if `--print-config` was given.
        """
        flags = {name: value for name, value in self.values.items() if name in settings_of(cls)}
        path: Path | None = self.values["config"]
        config = read_config(path, self.command.name, tables=COMMANDS) if path else {}
        from_run = run_values(run, cls, self.command.name) if run is not None else {}
        known_before = (begun or {}).get("dataset") or from_run.get("dataset")
        dataset = flags.get("dataset") or config.get("dataset") or known_before or _default_dataset(cls)
        preset = self.values.get("preset") or from_run.pop("preset", None) or "auto"
        values = preset_values(preset, dataset, self.command.name) if dataset in _DATASETS else {}
        # What the run has settled, such as the split it trains on, holds for its later stages.
        values = {name: value for name, value in values.items() if name not in from_run}
        if begun:
            values = values if self.values.get("preset") else {}
            from_run |= {name: value for name, value in begun.items() if name in settings_of(cls)}
        resolved = resolve(
            cls,
            flags=flags,
            config=config,
            preset=values,
            run=from_run,
            config_name=str(path or "config file"),
            run_name=_manifest_of(run),
        )
        resolved = with_absolute_paths(resolved)
        if self.values["print_config"]:
            print_config(self.command.name, resolved)
            raise typer.Exit
        return resolved

    def show(self, result: dict[str, Any], human: Callable[[], None]) -> None:
        """Print the result: JSON with `--json`, else what `human` prints."""
        if self.json:
            print_json(result)
        else:
            human()


_DATASETS = tuple(BY_DATASET)
_FROM_TRAIN_CLS = ("dataset", "data_root", "labels", "max_pixels", "work_side", "seed")


def run_values(run: Run, cls: type[Any], stage: str) -> dict[str, Any]:
    """Return what a stage takes over from the run: train-cls's data set, its place, the seed and the preset.

    Raises:
        RunError: it notes a preset that there is none of.
    """
    entry = run.manifest.stages.get("train-cls")
    if entry is None:
        return {}
    known = settings_of(cls)
    names = [n for n in _FROM_TRAIN_CLS if n != "labels" or issubclass(cls, DataSettings)]
    values = {name: entry.settings[name] for name in names if name in known and name in entry.settings}
    if isinstance(split := _split_of(run, stage), str):
        values["split"] = split
    if (preset := entry.notes.get("preset")) is not None:
        if preset not in ("auto", *PRESETS):
            raise RunError(
                f"{_manifest_of(run)}: recorded preset: {preset!r} is none of auto, {', '.join(PRESETS)}",
                remedy="Restore the file, or start a new run",
            )
        values["preset"] = preset
    return values


def _split_of(run: Run, stage: str) -> Any:
    """Return the split that a stage works on: that of the stage before it.

    Of a run whose classifier trained on a part of the photographs, and whose masks are made of all, the segmenter
    trains on that part, too: it is measured on the rest.
    """
    from recam_cli.core.data.own_split import WHOLE
    from recam_cli.core.runs.stage_facts import STAGE_ORDER

    if stage not in STAGE_ORDER:
        return None
    place = STAGE_ORDER.index(stage)
    splits = [done.settings.get("split") for name in STAGE_ORDER[:place] if (done := run.entry(name)) is not None]
    own = run.entry(stage)
    if own is not None and own.settings.get("split") == WHOLE and stage != STAGE_ORDER[-1]:
        return WHOLE  # made again, as it was
    if stage == STAGE_ORDER[-1] and splits[-1:] == [WHOLE]:
        return splits[0]
    return splits[-1] if splits else None


def _manifest_of(run: Run | None) -> str:
    """Return how messages name the file that values of the run come from."""
    return str(run.path / "manifest.json") if run is not None else "the run's manifest"


def register(app: typer.Typer, command: Command) -> None:
    """Add the command to the app, with one option per declared setting."""
    function = _function_of(command)
    summary = COMMANDS[command.name]
    paragraphs = [summary, *([command.details] if command.details else [])]
    if command.examples:
        paragraphs.append("\n".join(("\bExamples:", *(f"  {example}" for example in command.examples))))
    help_text = "\n\n".join(_escaped(paragraph) for paragraph in paragraphs)
    app.command(command.name, help=help_text, short_help=summary)(function)


def _function_of(command: Command) -> Callable[..., None]:
    def function(**values: Any) -> None:
        command.execute(Call(command, values))

    parameters = [
        inspect.Parameter(
            name,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            default=None if type(None) in typing.get_args(kind) else inspect.Parameter.empty,
            annotation=Annotated[kind, typer.Argument(help=text, metavar=name.upper())],
        )
        for name, (kind, text) in command.arguments.items()
    ]
    parameters += [_parameter(setting) for setting in settings_of(command.settings).values()]
    parameters += _common_parameters(command)
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    function.__annotations__ = {p.name: p.annotation for p in parameters}
    function.__name__ = command.name.replace("-", "_")
    return function


def _parameter(setting: Setting) -> inspect.Parameter:
    declared = setting.declaration
    flags = [setting.flag, *([declared.short] if declared.short else [])]
    kind: Any = _without_none(setting.kind)
    extra: dict[str, Any] = {}
    if kind is bool:
        flags = [f"{setting.flag}/--no-{setting.flag[2:]}"]
    elif typing.get_origin(kind) is tuple:
        kind, extra = str, {"metavar": "A,B,…"}
    elif kind is Path:
        extra = {"metavar": "PATH"}
    option = typer.Option(
        *flags,
        help=_escaped(f"{declared.help}{_default_text(setting)}"),
        rich_help_panel=declared.panel,
        show_default=False,
        **extra,
    )
    return inspect.Parameter(
        setting.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, option]
    )


def _escaped(text: str) -> str:
    """Keep Rich from taking brackets for markup."""
    return text.replace("[", "\\[")


def _default_text(setting: Setting) -> str:
    plain = setting.default
    if plain is None:
        return ""
    if isinstance(plain, tuple):
        plain = ",".join(str(p) for p in plain)
    if isinstance(plain, bool):
        plain = "on" if plain else "off"
    return f" [{plain}]"


def _common_parameters(command: Command) -> list[inspect.Parameter]:
    presets: Any = Literal[("auto", *PRESETS)]
    wanted: list[tuple[str, Any, Any, Any]] = []
    if command.needs_run:
        text = "Run directory; without it the newest below runs/ (train-cls, rerun: a new one)."
        wanted.append(("run", Path | None, None, typer.Option("--run", help=text, metavar="PATH")))
    if command.has_preset:
        text = "Recipe: auto is the data set's own. It stands below flags and config file, above the defaults shown."
        wanted.append(("preset", presets | None, None, typer.Option("--preset", help=text)))
    tables = "a table per stage, as [train-cls]," if command.name == "run" else f"a table [{command.name}]"
    text = f"TOML file with {tables} of settings; flags win over it."
    wanted.append(("config", Path | None, None, typer.Option("--config", help=_escaped(text), metavar="FILE")))
    text = "Print the settings as TOML, with where each comes from, and stop."
    wanted.append(("print_config", bool, False, typer.Option("--print-config", help=text)))
    wanted.append(("json", bool, False, typer.Option("--json", help="Print only JSON to stdout.")))
    wanted.append(("quiet", bool, False, typer.Option("--quiet", "-q", help="Only warnings and the result.")))
    wanted.append(("verbose", bool, False, typer.Option("--verbose", "-v", help="More details, and tracebacks.")))
    parameters = []
    for name, kind, default, option in wanted:
        option.rich_help_panel = COMMON
        option.show_default = False
        annotation: Any = Annotated[kind, option]
        parameters.append(
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        )
    return parameters


def _default_dataset(cls: type[Any]) -> str:
    known = settings_of(cls)
    return str(known["dataset"].default) if "dataset" in known else ""


def _without_none(kind: Any) -> Any:
    rest = [k for k in typing.get_args(kind) if k is not type(None)]
    return rest[0] if type(None) in typing.get_args(kind) and len(rest) == 1 else kind


def print_config(stage: str, resolved: Resolved[Any]) -> None:
    """Print a stage's settings as a table of TOML, with where each comes from."""
    import json

    from recam_cli.terminal import print_line

    print_line(f"[{stage}]")
    known = settings_of(type(resolved.settings))
    for name, value in as_plain(resolved.settings).items():
        value = OPEN if value is None and known[name].open_by_word else value
        text = f"{name} = {json.dumps(value, ensure_ascii=False)}" if value is not None else f"# {name} ="
        print_line(f"{text:<44} # {resolved.sources[name]}")
