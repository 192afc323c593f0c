"""rerun: repeat the finished stages of a run from its manifest in a new run, then compare the two."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from recam_cli.core.bounded import real_path
from recam_cli.core.errors import RunError, UsageError
from recam_cli.core.hardware import choose_device
from recam_cli.core.reporter import Reporter
from recam_cli.core.rerun.compare import StageComparison, compare_stage
from recam_cli.core.rerun.inputs import changes_of
from recam_cli.core.rerun.steps import Step, asked_before_choice, kind_of, steps_of
from recam_cli.core.runs.files import write_json
from recam_cli.core.runs.items import differences
from recam_cli.core.runs.manifest import MANIFEST_NAME, Manifest, StageEntry
from recam_cli.core.runs.run import Run
from recam_cli.core.runs.versions import versions
from recam_cli.core.settings.declare import settings_of
from recam_cli.core.settings.groups import HARDWARE, OUTPUT
from recam_cli.core.settings.rerun import RerunSettings
from recam_cli.core.settings.resolve import Resolved
from recam_cli.core.training.snapshot_files import FOLDER as SNAPSHOTS
from recam_cli.stages import evaluate, make_masks, make_seeds, train_cls, train_seg

RESULT_NAME = "rerun.json"


@dataclass(frozen=True)
class RerunResult:
    """A run and its repetition.

    Attributes:
        original: the run.
        path: the new one.
        repeated: stages that this call repeated.
        kept: stages that an earlier call had repeated.
        versions: of packages that are not those of then: "2.12.0 → 2.13.0".
        stages: what differs, stage by stage, parts of make-masks among them.
        tolerance: in percentage points of the scores; 0: all must be identical.
    """

    original: Path
    path: Path
    repeated: int
    kept: int
    versions: Mapping[str, str]
    stages: tuple[StageComparison, ...]
    tolerance: float

    @property
    def identical(self) -> bool:
        """Whether nothing differs."""
        return all(stage.identical for stage in self.stages)

    @property
    def failed(self) -> tuple[str, ...]:
        """The stages that differ by more than the tolerance allows."""
        return tuple(stage.stage for stage in self.stages if not stage.passes(self.tolerance))

    def as_dict(self) -> dict[str, Any]:
        """Return it JSON-ready."""
        return {
            "original": str(self.original),
            "run": str(self.path),
            "identical": self.identical,
            "passed": not self.failed,
            "tolerance": self.tolerance,
            "repeated": self.repeated,
            "kept": self.kept,
            "versions": dict(self.versions),
            "stages": [stage.as_dict() for stage in self.stages],
        }


def run(resolved: Resolved[RerunSettings], original: Path, path: Path | None, reporter: Reporter) -> RerunResult:
    """Repeat a run and compare; called again after an interruption, go on.

    Args:
        resolved: the settings.
        original: the run; nothing is written there.
        path: the new run; None: `<original>-rerun`.
        reporter: receives messages and progress.

    Raises:
        UsageError: the new run would lie in the old one, or the other way round.
        RunError: there is nothing to repeat, the data, weights or device of then are not there, or `path` holds
            something else.
        DataError, TrainingError, NotFiniteError: as the stages.
    """
    settings = resolved.settings
    then = Run.open(original)
    path = path or real_path(then.path).with_name(f"{real_path(then.path).name}-rerun")
    _require_apart(then.path, path)
    steps = steps_of(then)
    changed = _tell_what_differs(then, steps, reporter)
    steps = _with_inputs(steps, settings, reporter)
    done = _done_before(path, steps)
    for number, step in enumerate(steps, 1):
        kept = step.stage in done
        reporter.info(f"[{number}/{len(steps)}] {step.stage}{': kept, it was repeated before' if kept else ''}")
        if not kept:
            with _threads(step.threads):
                _COMMANDS[step.kind](step, path, reporter)
    now = Run.open(path)
    result = RerunResult(
        then.path,
        path,
        len(steps) - len(done),
        len(done),
        changed,
        _compared(steps, then, now, reporter),
        settings.tolerance,
    )
    write_json(path / RESULT_NAME, result.as_dict())
    return result


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """Compute with so many threads within the block; None: as it is."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _require_apart(old: Path, new: Path) -> None:
    old, new = real_path(old), real_path(new)
    if old.is_relative_to(new) or new.is_relative_to(old):
        raise UsageError(
            f"--run {new} and {old} lie in each other, and nothing is repeated in place", remedy="Choose another --run"
        )


def _tell_what_differs(then: Run, steps: tuple[Step, ...], reporter: Reporter) -> dict[str, str]:
    """Warn of versions other than then, and of stages that cannot come out the same; return the versions."""
    here, changed = versions(), {}
    for step in steps:
        for name, version in step.entry.versions.items():
            if name in here and here[name] != version:
                changed[name] = f"{version} → {here[name]}"
    if changed:
        told = ", ".join(f"{name} {change}" for name, change in changed.items())
        reporter.warn(f"other versions than then, so that results may differ: {told}")
    for stage, entry in then.manifest.stages.items():
        if entry.state != "done" and kind_of(stage) is not None:
            reporter.warn(f"{stage} of {then.path} has not finished ({entry.state}) and is left out")
    for step in steps:
        if (source := then.outdated(step.stage)) is not None:
            reporter.warn(f"{step.stage} was made before {source} was done anew, so that it will differ")
    return changed


def _with_inputs(steps: tuple[Step, ...], settings: RerunSettings, reporter: Reporter) -> tuple[Step, ...]:
    """Return the steps as they can be computed here, after checking what they start from against the manifest.

    Raises:
        RunError: data, weights or a device are not those of then, and that is not allowed.
    """
    reporter.info("Checking data and weights against the manifest")
    hashes: dict[Any, str] = {}
    changes = [change for step in steps for change in changes_of(step, hashes)]
    absent = {step.stage: device for step in steps if (device := _absent_device(step)) is not None}
    changes += [f"{stage} was computed on {device}, which is not here" for stage, device in absent.items()]
    changes = list(dict.fromkeys(changes))
    if changes and not settings.allow_changed:
        more = f" (and {len(changes) - 1} more)" if len(changes) > 1 else ""
        raise RunError(f"{changes[0]}{more}", remedy="Restore it, or compare all the same with --allow-changed")
    for change in changes:
        reporter.warn(change)
    return tuple(step.changed(device="auto", precision="auto") if step.stage in absent else step for step in steps)


def _absent_device(step: Step) -> str | None:
    name = getattr(step.resolved.settings, "device", None)
    if name is None:
        return None
    try:
        choose_device(name)
    except UsageError:
        return str(name)
    return None


def _done_before(path: Path, steps: tuple[Step, ...]) -> set[str]:
    """Return the stages that an earlier call has repeated; an evaluation on other masks than now is repeated again.

    Raises:
        RunError: `path` holds something else, or a run of other settings or of other data than now.
    """
    if not (path / MANIFEST_NAME).is_file():
        return set()
    found, hashes = Manifest.load(path), dict[Any, str]()
    done = set()
    for step in steps:
        entry = found.stages.get(step.stage)
        if entry is None:
            continue
        differ = differences(_matter(step, step.entry), _matter(step, entry))
        if differ is not None:
            raise RunError(
                f"{path}: its {step.stage} was made with other settings: {differ}",
                remedy="It is no repetition of this run: choose another --run",
            )
        if entry.state != "done":
            continue
        change = next(changes_of(replace(step, entry=entry, walk=None), hashes), None)
        if change is None:
            done.add(step.stage)
        elif step.kind != "evaluate":
            raise RunError(f"{path}: {change}", remedy="It was repeated before that: choose another --run")
    return done


def _matter(step: Step, entry: StageEntry) -> dict[str, Any]:
    """Return the recorded settings that results depend on."""
    known = settings_of(type(step.resolved.settings))
    chosen = set(asked_before_choice(step.entry))  # on other data, perhaps otherwise
    free = chosen | {name for name in known if known[name].declaration.panel in (HARDWARE, OUTPUT)} | {"download"}
    return {name: value for name, value in entry.settings.items() if name not in free}


def _begun(path: Path, step: Step, folder: str) -> Step:
    """Return the step so that an interrupted training goes on from its snapshots, where there are any."""
    resume = any((path / folder / SNAPSHOTS).glob("last*.safetensors"))
    return step.changed(resume=resume)


def _train_cls(step: Step, path: Path, reporter: Reporter) -> None:
    preset = str(step.entry.notes.get("preset", "auto"))
    train_cls.run(_begun(path, step, "classifier").resolved, path, reporter, preset=preset)


def _train_seg(step: Step, path: Path, reporter: Reporter) -> None:
    folder = f"segmenter{step.stage.removeprefix(train_seg.STAGE)}"
    train_seg.run(_begun(path, step, folder).resolved, Run.open(path), reporter)


def _make_seeds(step: Step, path: Path, reporter: Reporter) -> None:
    make_seeds.run(step.resolved, Run.open(path), reporter)


def _make_masks(step: Step, path: Path, reporter: Reporter) -> None:
    make_masks.run(step.resolved, Run.open(path), reporter)


def _evaluate(step: Step, path: Path, reporter: Reporter) -> None:
    evaluate.run(step.resolved, Run.open(path), reporter)


_COMMANDS: Mapping[str, Callable[[Step, Path, Reporter], None]] = {
    "train-cls": _train_cls,
    "make-seeds": _make_seeds,
    "make-masks": _make_masks,
    "train-seg": _train_seg,
    "evaluate": _evaluate,
}


def _compared(steps: tuple[Step, ...], then: Run, now: Run, reporter: Reporter) -> tuple[StageComparison, ...]:
    """Compare the stages repeated, and the parts of make-masks that came with them."""
    repeated = {step.stage for step in steps}
    names = [
        stage
        for stage in then.manifest.stages
        if stage in repeated or (then.entry(stage) is not None and now.entry(stage) is not None)
    ]
    found = []
    with reporter.track("Comparing", len(names), "stage") as progress:
        for name in names:
            found.append(compare_stage(name, then, now))
            progress.advance()
    return tuple(found)
