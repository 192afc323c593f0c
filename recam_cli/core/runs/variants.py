"""Which of a run's seeds and masks are meant: those of its own method, or its plain CAM's.

A ReCAM run can hold two of each. The run's own lie in `seeds/` and `masks/` (stages make-seeds, make-masks),
those of its plain CAM in `seeds-cam/` and `masks-cam/` (stages make-seeds-cam, make-masks-cam).
"""

from __future__ import annotations

from typing import Literal

from recam_cli.core.errors import RunError
from recam_cli.core.runs.manifest import StageEntry
from recam_cli.core.runs.next_command import command_of
from recam_cli.core.runs.run import Run

Method = Literal["run", "cam", "recam"]
"""As users ask: "run" stands for what the run's classifier was trained as."""
TRAINED_METHODS = ("cam", "recam")


def trained_method(run: Run) -> str:
    """Return what the run's classifier was trained as, "cam" or "recam".

    Raises:
        RunError: the run has no finished train-cls.
    """
    method = run.require("train-cls").settings.get("method", "recam")
    return method if method in TRAINED_METHODS else "recam"


def resolve_method(run: Run, method: Method) -> Literal["cam", "recam"]:
    """Return which method is meant.

    Raises:
        RunError: ReCAM is asked of a run trained as plain CAM, or the run has no finished train-cls.
    """
    trained = trained_method(run)
    if method == "recam" and trained == "cam":
        raise RunError(
            f"{run.path} was trained with --method cam and has no ReCAM",
            remedy="Leave --method out, or train a run with: recam train-cls --method recam",
        )
    return "cam" if "cam" in (method, trained) else "recam"


def seed_method(run: Run, method: Method) -> Literal["cam", "recam"]:
    """Return whose maps the seeds are: as `resolve_method`, but for "run" what make-seeds chose, once it has.

    Raises:
        RunError: as `resolve_method`.
    """
    entry = run.entry("make-seeds")
    noted = entry.notes.get("method") if entry is not None and method == "run" else None
    return noted if noted in ("cam", "recam") else resolve_method(run, method)


def variant_suffix(run: Run, method: Method) -> Literal["", "-cam"]:
    """Return what is appended to the names of folders and stages: "-cam" for the plain CAM of a ReCAM run.

    Raises:
        RunError: ReCAM is asked of a run trained as plain CAM, or the run has no finished train-cls.
    """
    return "-cam" if resolve_method(run, method) != trained_method(run) else ""


def seen_suffix(run: Run, method: Method) -> Literal["", "-cam"]:
    """Return as `variant_suffix` whose seeds and masks show a method: the run's own where they were chosen to be its.

    Raises:
        RunError: as `variant_suffix`.
    """
    suffix = variant_suffix(run, method)
    apart = run.entry(f"make-seeds{suffix}") is not None or seed_method(run, "run") != method
    return suffix if apart else ""


def require_variant(run: Run, stage: str, suffix: str) -> StageEntry:
    """Return the entry of a finished stage's variant; `suffix` as from `variant_suffix`.

    Raises:
        RunError: it has not been run, or has not finished; the message names the command.
    """
    if not suffix:
        return run.require(stage)
    entry = run.entry(stage + suffix)
    if entry is None:
        raise RunError(
            f"{run.path}: {stage} --method cam has not been finished",
            remedy=f"Run: {command(run, stage, suffix)}",
        )
    return entry


def command(run: Run, stage: str, suffix: str, *, overwrite: bool = False) -> str:
    """Return the command line that makes the stage's variant, with the settings it was begun with, if it was."""
    return command_of(run, stage + suffix, overwrite=overwrite)
