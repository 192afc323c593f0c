"""make-masks by a walk on a tiny run, and what stood in it before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recam_cli.core.reporter import SilentReporter
from recam_cli.core.runs.run import Run
from recam_cli.core.settings.make_masks import MakeMasksSettings
from recam_cli.core.settings.resolve import Resolved, resolve
from recam_cli.stages import make_masks

SMALL: dict[str, dict[str, Any]] = {
    "irn": {"irn_epochs": 1, "irn_batch_size": 2, "irn_crop": 32, "irn_radius": 3},
    "psa": {"psa_epochs": 1, "psa_batch_size": 2, "psa_crop": 48},
}
"""Settings of a training of a second, by the kind of walk."""


def walk_settings(data: Path, kind: str, **flags: Any) -> Resolved[MakeMasksSettings]:
    """Return those of a quick `make-masks --refine <kind> --overwrite`."""
    common = {"dataset": "custom", "data_root": str(data), "refine": kind, "device": "cpu", "precision": "fp32"}
    common |= {"threshold": "0.3", "workers": 0, "overwrite": True}
    return resolve(MakeMasksSettings, flags=common | SMALL["irn"] | SMALL["psa"] | flags)


def walk(data: Path, run: Path, kind: str, **flags: Any) -> make_masks.MakeMasksResult:
    """Make the masks of a run by the walk of `kind`."""
    return make_masks.run(walk_settings(data, kind, **flags), Run.open(run), SilentReporter())


def contents(run: Path, *folders: str) -> dict[Path, bytes]:
    """Return what the files of folders hold."""
    return {p: p.read_bytes() for folder in folders for p in (run / folder).iterdir()}


def stamps(run: Path, *folders: str) -> dict[Path, int]:
    """Return when the files of folders were written; notes of their settings left out."""
    files = (p for folder in folders for p in (run / folder).iterdir() if p.name != ".fingerprint.json")
    return {p: p.stat().st_mtime_ns for p in files}
