"""The class names a run's files were made with: mask value k means the k-th of them, whatever the data set says now."""

from __future__ import annotations

from pathlib import Path

from recam_cli.core.errors import RunError
from recam_cli.core.runs.run import Run


def require_classes(run: Run, stage: str, classes: tuple[str, ...], root: Path) -> None:
    """Pass if the data set at `root` has the classes that a finished stage notes, or if it notes none.

    Raises:
        RunError: their number, names or order differ; the message names the first difference.
    """
    entry = run.entry(stage)
    noted = entry.notes.get("classes") if entry is not None else None
    if not isinstance(noted, list) or tuple(noted) == classes:
        return
    if len(noted) != len(classes):
        how = f"{len(noted)} classes, not the {len(classes)} of {root}"
    else:
        k = next(k for k, name in enumerate(classes) if name != noted[k])
        how = f"class {k + 1} as {noted[k]!r}, not as {classes[k]!r} as {root} does"
    raise RunError(f"{run.path}: {stage} knows {how}", remedy="Restore the classes it was trained with, or start a run")
