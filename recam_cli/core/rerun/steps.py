"""What repeats a run: its finished stages in order, each with the settings that its manifest entry recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from recam_cli.core.errors import RunError
from recam_cli.core.runs.manifest import MANIFEST_NAME, StageEntry
from recam_cli.core.runs.run import Run
from recam_cli.core.runs.stage_facts import ASKED_NOTE, CHOICE_NOTE
from recam_cli.core.settings.declare import settings_of
from recam_cli.core.settings.evaluate import EvaluateSettings
from recam_cli.core.settings.make_masks import MakeMasksSettings
from recam_cli.core.settings.make_seeds import MakeSeedsSettings
from recam_cli.core.settings.resolve import Resolved, resolve
from recam_cli.core.settings.train_cls import TrainClsSettings
from recam_cli.core.settings.train_seg import TrainSegSettings

KINDS: Mapping[str, type[Any]] = {
    "train-cls": TrainClsSettings,
    "make-seeds": MakeSeedsSettings,
    "make-masks": MakeMasksSettings,
    "train-seg": TrainSegSettings,
    "evaluate": EvaluateSettings,
}
"""Command → its settings. Stages have its name, and what tells variants and splits apart after it."""

_MOST_THREADS = 1024
_FRESH: Mapping[str, Any] = {"resume": False, "overwrite": False, "download": False}
"""Settings that are about what was there then; `out` of evaluations becomes the new run's own folder."""


@dataclass(frozen=True)
class Step:
    """One stage to repeat.

    Attributes:
        stage: as the manifest names it.
        kind: the command, a key of `KINDS`.
        entry: what the manifest says of it.
        resolved: its settings of then, where "auto" stood for a device or a precision that one.
        walk: of make-masks, what the manifest says of the random walk, if there was one.
    """

    stage: str
    kind: str
    entry: StageEntry
    resolved: Resolved[Any]
    walk: StageEntry | None = None

    @property
    def threads(self) -> int | None:
        """Threads it was computed with, on which the last bits of a sum depend; None where that is not recorded."""
        noted = (self.walk or self.entry).notes.get("threads")
        return noted if isinstance(noted, int) and 0 < noted <= _MOST_THREADS else None

    def changed(self, **values: Any) -> Step:
        """Return the step with other values of some settings."""
        return replace(self, resolved=Resolved(replace(self.resolved.settings, **values), self.resolved.sources))


def kind_of(stage: str) -> str | None:
    """Return the command that makes `stage`; None for the parts that make-masks makes on its way."""
    return next((kind for kind in KINDS if stage == kind or stage.startswith(f"{kind}-")), None)


def steps_of(run: Run) -> tuple[Step, ...]:
    """Return what repeats the finished stages of `run`, evaluations last.

    Raises:
        RunError: there is no finished train-cls, or settings that this version does not know.
    """
    run.require("train-cls")
    found = [
        _step(run, stage, kind)
        for stage, entry in run.manifest.stages.items()
        if entry.state == "done" and (kind := kind_of(stage)) is not None
    ]
    # In the manifest each stands after what it was made of when it was first made; only evaluations can be asked anew
    # for something that later stages settled.
    return tuple(sorted(found, key=lambda step: step.kind == "evaluate"))


def _step(run: Run, stage: str, kind: str) -> Step:
    entry, known = run.manifest.stages[stage], settings_of(KINDS[kind])
    strange = [name for name in entry.settings if name not in known]
    if strange:
        raise RunError(
            f"{run.path}: {stage} was made with the setting {strange[0]}, which this version of recam does not have",
            remedy=f"Repeat it with recam {entry.versions.get('recam', 'of then')}",
        )
    parts = _parts(run, stage) if kind == "make-masks" else {}
    values = entry.settings | _of_parts(parts, known) | _computed(entry, parts)
    values |= asked_before_choice(entry) | {**_FRESH, "out": None}
    values = {name: value for name, value in values.items() if name in known}
    settings = resolve(KINDS[kind], flags={}, run=values, run_name=f"{run.path / MANIFEST_NAME}: {stage}").settings
    sources = {name: entry.sources.get(name, "run" if name in values else "default") for name in known}
    return Step(stage, kind, entry, Resolved(settings, sources), parts.get("random-walk"))


def asked_before_choice(entry: StageEntry) -> dict[str, Any]:
    """Return the settings in place of which make-seeds chose others, as they stood before; they choose the same again.

    Taken as they were chosen, plain CAM would be asked for by name, whose seeds are another stage's.
    """
    noted = entry.notes.get(CHOICE_NOTE)
    asked = noted.get(ASKED_NOTE) if isinstance(noted, dict) else None
    return dict(asked) if isinstance(asked, dict) else {}


def _parts(run: Run, stage: str) -> dict[str, StageEntry]:
    """Return the finished parts of a make-masks, without the variant's suffix: those its present masks came by."""
    suffix, masks = stage.removeprefix("make-masks"), run.manifest.stages[stage]
    parts: dict[str, StageEntry] = {}
    walk = run.entry(f"random-walk{suffix}")
    if walk is not None and masks.inputs.get(f"random-walk{suffix}") == walk.fingerprint:
        parts["random-walk"] = walk
        for name in ("train-irn", "train-psa"):
            trained = run.entry(f"{name}{suffix}")
            if trained is not None and name.removeprefix("train-") in walk.inputs:
                parts[name] = trained
    instances = run.entry(f"instances{suffix}")
    if instances is not None and instances.inputs.get(stage) == masks.fingerprint:
        parts["instances"] = instances
    return parts


def _of_parts(parts: Mapping[str, StageEntry], known: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that only the parts recorded, such as whether instances were asked for."""
    values: dict[str, Any] = {}
    for part in parts.values():
        values |= {name: value for name, value in part.settings.items() if name in known}
    if parts:
        values["instances"] = "instances" in parts
    return values


def _computed(entry: StageEntry, parts: Mapping[str, StageEntry]) -> dict[str, Any]:
    """Return on what, how exactly and how repeatably it was computed, of masks by their walk, if they walked."""
    by = parts.get("random-walk", entry)
    values: dict[str, Any] = {"device": by.device} if by.device else {}
    if "precision" in by.notes:
        values["precision"] = by.notes["precision"]
    if "deterministic" in entry.notes:
        values["deterministic"] = entry.notes["deterministic"]
    return values
