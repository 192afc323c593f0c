"""What --resume goes on with: a stage that was begun in a run and has not finished."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from recam_cli.core.errors import RunError
from recam_cli.core.runs.next_command import next_command
from recam_cli.core.runs.run import Run


def require_begun(run: Run, stage: str) -> Run:
    """Return `run` if its `stage` was begun and has not finished.

    Raises:
        RunError: it was not begun, or is done.
    """
    entry = run.manifest.stages.get(stage)
    if entry is None:
        raise RunError(
            f"nothing to resume: {run.path} has no {stage} that was begun", remedy="Begin it, without --resume"
        )
    if entry.state == "done":
        raise RunError(
            f"nothing to resume: {stage} of {run.path} has finished", remedy=f"Go on with: {next_command(run)}"
        )
    return run


def begun_settings(run: Run, stages: Sequence[str], wanted: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the settings, JSON-ready, of the first of `stages` that was begun and has not finished; else none.

    Args:
        run: the run.
        stages: names.
        wanted: values that the settings must have, where one is not None.
    """
    for name in stages:
        entry = run.manifest.stages.get(name)
        if entry is None or entry.state == "done":
            continue
        given = {key: value for key, value in (wanted or {}).items() if value is not None}
        if all(entry.settings.get(key) == value for key, value in given.items()):
            return entry.settings | {"resume": True}
    return {}
