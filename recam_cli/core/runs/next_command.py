"""The command that a run asks for: a stage's own, as it was begun, so that it acts on this run and from here."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recam_cli.core.runs.manifest import StageEntry
from recam_cli.core.runs.plan import RunPlan
from recam_cli.core.runs.stage_facts import (
    PARTS,
    SCORABLE_NOTE,
    STAGE_ORDER,
    TRAINED_IN,
    VARIANTS,
    command_of_stage,
)
from recam_cli.core.shell import shell_line

if TYPE_CHECKING:
    from recam_cli.core.runs.run import Run

_NOT_FINITE = "snapshots/not-finite.safetensors"
_RATE = re.compile(r"(\w+_)?lr(_\w+)?")
_DROPPED = ("--resume", "--download")
"""Options of a recorded command that were about what was there then."""
_WHOLE = ("demo", "rerun", "run")
"""Commands that record the stages of a whole run; called again, they go on."""


def next_command(run: Run) -> str:
    """Return the command that continues the run; once all stages are done, evaluates and then reports it."""
    if (whole := _rest_of_whole(run)) is not None:
        return whole
    for stage in STAGE_ORDER:
        for suffix in VARIANTS:
            if (due := _due(run, stage, suffix)) is not None:
                return due
    place = ("--run", str(run.path))
    names = [name for name in run.manifest.stages if name.startswith("evaluate-segmentation")]
    evaluated = any(run.entry(name) is not None and run.outdated(name) is None for name in names)
    trained = run.manifest.stages[STAGE_ORDER[-1]]
    if evaluated or trained.notes.get(SCORABLE_NOTE) is False:
        return shell_line(("recam", "report", *place))
    return shell_line(("recam", "evaluate", "--of", "segmentation", *place))


def _rest_of_whole(run: Run) -> str | None:
    """Return the `recam run` that began a run and has not done all of its stages; else None."""
    plan = RunPlan.load(run.path)
    words = shlex.split(plan.command) if plan is not None else []
    if plan is None or words[:2] != ["recam", "run"]:
        return None
    whole = (*STAGE_ORDER, "report")
    wanted = whole[: whole.index(plan.until) + 1] if plan.until in whole else whole
    if plan.until == "check-data" or all(run.entry(stage) is not None for stage in wanted):
        return None
    return shell_line(words if _has(words, "--run") else [*words, "--run", str(run.path)])


def _due(run: Run, stage: str, suffix: str) -> str | None:
    """Return the command of a stage that is still to be done; of variants, only of one that was cut short."""
    name, begun = stage + suffix, _begun_last(run, stage, suffix)
    cut_short = begun is not None and run.state(begun) not in ("done", "failed")
    if cut_short or (not suffix and run.entry(name) is None):
        return command_of(run, name)
    return command_of(run, name, overwrite=True) if run.outdated(name) is not None else None


def command_of(run: Run, name: str, *, overwrite: bool = False) -> str:
    """Return the command that makes stage `name`: where it was begun, with the settings of then.

    A training that was cut short is resumed; after a NaN or Inf, which it would meet again, begun with lower rates.
    """
    stage, suffix = command_of_stage(name)
    last = _begun_last(run, stage, suffix)
    begun = run.manifest.stages[last] if last is not None else None
    plain = ["recam", stage, *VARIANTS[suffix]]
    words = plain
    if begun is not None:
        words = _own_words(run, stage, suffix, begun) or plain
        if words[1] in _WHOLE:
            overwrite = False
        elif _ended_not_finite(run, name):
            words += _lower_rates(begun)
        elif begun.state != "done" and has_snapshot(run.path, name):
            words = ["recam", stage, "--resume", *VARIANTS[suffix]]
    if overwrite and "--overwrite" not in words:
        words.append("--overwrite")
    place = _place_option(words[1])
    return shell_line(words if _has(words, place) else [*words, place, str(run.path)])


def going_on(words: Sequence[str], command: str, run: Path, stage: str) -> list[str]:
    """Return the words of an interrupted call of `command` so that they go on where it had begun `stage` in `run`."""
    if command == "run":  # its run has one place for the same photographs
        return list(words)
    place = _place_option(command)
    words = list(words) if _has(words, place) else [*words, place, str(run)]
    if command in TRAINED_IN and "--resume" not in words and has_snapshot(run, stage):
        words.append("--resume")
    return words


def _place_option(command: str) -> str:
    return "--out" if command == "demo" else "--run"


def has_snapshot(run: Path, name: str) -> bool:
    """Return whether the run holds a snapshot of the training `name`, e.g. "train-seg-truth", to resume it from."""
    stage, suffix = command_of_stage(name)
    return stage in TRAINED_IN and any(run.glob(f"{TRAINED_IN[stage]}{suffix}/snapshots/last*.safetensors"))


def _begun_last(run: Run, stage: str, suffix: str) -> str | None:
    """Return the name of the stage that a command began last, of all that it records, or None."""
    names = [f"{part}{suffix}" for part in PARTS.get(stage, (stage,))]
    begun = [name for name in names if name in run.manifest.stages]
    return max(reversed(begun), key=lambda name: run.manifest.stages[name].started, default=None)


def _own_words(run: Run, stage: str, suffix: str, begun: StageEntry) -> list[str] | None:
    """Return the recorded command of a stage, for this run.

    None where it is not a call of `recam <stage>` or, if it did not end, of what makes a whole run.
    """
    try:
        words = shlex.split(begun.command)
    except ValueError:
        return None
    commands = (stage, *(_WHOLE if begun.state != "done" else ()))
    if words[:1] != ["recam"] or len(words) < 2 or words[1] not in commands:
        return None
    parts = [run.manifest.stages.get(f"{part}{suffix}") for part in PARTS.get(stage, ())]
    known: dict[str, Any] = {}
    for entry in (*parts, begun):
        known |= entry.settings if entry is not None else {}
    places = {_place_option(words[1]): str(run.path)} | {
        f"--{name.replace('_', '-')}": value
        for name, value in known.items()
        if isinstance(value, str) and Path(value).is_absolute()
    }
    own = [*words[:2], *_with_places(words[2:], places)]
    if words[1] == STAGE_ORDER[0] and "--data-root" in places and not _has(own, "--data-root"):
        own += ["--data-root", places["--data-root"]]  # found at a default place; later stages look it up
    return own


def _with_places(words: Sequence[str], places: Mapping[str, str]) -> Iterator[str]:
    """Yield options with the paths that they meant, where those typed mean others from here."""
    rest = iter(words)
    for word in rest:
        option, equals, value = word.partition("=")
        if option in places:
            value = value if equals else next(rest, "")
            yield from (option, value if _leads_to(value, places[option]) else places[option])
        elif word not in _DROPPED:
            yield word


def _leads_to(typed: str, place: str) -> bool:
    try:
        return Path(typed).absolute() == Path(place).absolute()
    except OSError:  # the current folder has gone
        return False


def _has(words: Sequence[str], option: str) -> bool:
    return any(word == option or word.startswith(f"{option}=") for word in words)


def _ended_not_finite(run: Run, name: str) -> bool:
    """Return whether a training stopped at a NaN or Inf, which it would meet again were it resumed."""
    stage, suffix = command_of_stage(name)
    if stage not in TRAINED_IN or name not in run.manifest.stages or run.state(name) != "failed":
        return False
    return (run.path / f"{TRAINED_IN[stage]}{suffix}" / _NOT_FINITE).is_file()


def _lower_rates(entry: StageEntry) -> Iterator[str]:
    """Yield options that make the learning rates of the phase that failed a tenth of what was recorded."""
    second = (entry.error or "").startswith("ReCAM:")
    for name, rate in entry.settings.items():
        if _RATE.fullmatch(name) and name.startswith("recam_") == second and isinstance(rate, int | float) and rate > 0:
            yield from (f"--{name.replace('_', '-')}", f"{rate / 10:g}")
