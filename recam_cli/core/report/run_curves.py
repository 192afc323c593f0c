"""The curves of a run: losses from its log, mIoU over thresholds and by class from its evaluations."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from recam_cli.core.report.bars import class_bars
from recam_cli.core.report.canvas import stack
from recam_cli.core.report.coverage_curves import coverage_curves
from recam_cli.core.report.curves import loss_curves, threshold_curves
from recam_cli.core.report.html import Picture
from recam_cli.core.report.log import Series, is_number, series_of
from recam_cli.core.report.run_figures import Evaluation, title_of
from recam_cli.core.runs.run import Run

_COVERAGE = "Pixels of at least the confidence written at a point are kept; recall is of all pixels."
_MOST_STAGES, _MOST_LOSSES = 16, 16
"""What a log can have drawn; none of ours comes near."""
_NOT_LOSSES = ("epoch", "step", "lr_factor", "seconds")


def training_curves(run: Run, log: Sequence[Mapping[str, Any]]) -> list[Picture]:
    """Return the losses by epoch, one picture per training stage, of its last attempt."""
    pictures = []
    for stage in list(dict.fromkeys(str(line.get("stage")) for line in log))[:_MOST_STAGES]:
        lines = _last_attempt([r for r in log if r.get("stage") == stage and _is_epoch(r)])
        if lines:
            title = f"Loss of {stage}"
            data = loss_curves(_losses(lines), learning_rate=_rate(run, stage, lines), title=title, x="epoch")
            pictures.append(Picture(title, data, _phases(lines)))
    return pictures


def threshold_pictures(scored: Sequence[Evaluation]) -> list[Picture]:
    """Return mIoU of seeds over the threshold, one picture per split."""
    pictures = []
    for split in dict.fromkeys(e.split for e in scored if e.curve is not None):
        lines = [e.curve for e in scored if e.split == split and e.curve is not None]
        title = f"Seeds over the threshold, {split}"
        pictures.append(Picture(title, threshold_curves(lines, title=title)))
    return pictures


def coverage_pictures(scored: Sequence[Evaluation]) -> list[Picture]:
    """Return precision and recall of masks over their coverage, one picture per split."""
    pictures = []
    for split in dict.fromkeys(e.split for e in scored if e.coverage is not None):
        lines = [e.coverage for e in scored if e.split == split and e.coverage is not None]
        title = f"Masks by confidence, {split}"
        pictures.append(Picture(title, coverage_curves(lines, title=title), _COVERAGE))
    return pictures


def class_pictures(run: Run, scored: Sequence[Evaluation]) -> list[Picture]:
    """Return IoU by class as bars, one picture per split."""
    pictures = []
    for split in dict.fromkeys(e.split for e in scored):
        own = [e for e in scored if e.split == split and e.figures.get("per_class")]
        present = (n for e in own for n, value in e.figures["per_class"].items() if value is not None)
        names = list(dict.fromkeys(present))
        groups = {title_of(run, e.of, e.suffix): [e.figures["per_class"].get(n) for n in names] for e in own}
        if names:
            title = f"IoU by class, {split}"
            pictures.append(Picture(title, class_bars(names, groups, title=title)))
    return pictures


def stacked(pictures: Sequence[Picture]) -> np.ndarray:
    """Return PNG or JPEG pictures one below the other, uint8 (H, W, 3)."""
    return stack([np.asarray(Image.open(io.BytesIO(p.data)).convert("RGB")) for p in pictures])


def _is_epoch(line: Mapping[str, Any]) -> bool:
    """Return whether a line of the log has what each epoch's has: a loss, the epoch, and perhaps a phase's name."""
    phase = line.get("phase")
    return "loss" in line and is_number(line.get("epoch")) and (phase is None or isinstance(phase, str))


def _last_attempt(lines: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the lines since training last began, their epochs counted on from phase to phase."""
    kept: list[dict[str, Any]] = []
    seen: set[tuple[Any, Any]] = set()
    offset = 0
    for line in lines:
        if (line.get("phase"), line["epoch"]) in seen:  # begun anew
            kept, offset = [], 0
            seen.clear()
        elif kept and kept[-1].get("phase") != line.get("phase"):
            offset = kept[-1]["epoch"]
        seen.add((line.get("phase"), line["epoch"]))
        kept.append(dict(line) | {"epoch": line["epoch"] + offset})
    return kept


def _losses(lines: Sequence[Mapping[str, Any]]) -> list[Series]:
    found = [series_of(lines, key, x="epoch") for key in dict.fromkeys(k for line in lines for k in line)]
    shown = [s for s in found if s.y and s.name not in _NOT_LOSSES and not s.name.startswith("val")]
    parts = [s for s in shown if s.name != "loss"]
    return (parts or shown)[:_MOST_LOSSES]


def _rate(run: Run, stage: str, lines: Sequence[Mapping[str, Any]]) -> Series | None:
    """Return the backbone's learning rate by epoch."""
    entry = run.manifest.stages.get(stage)
    if entry is None:
        return None
    points = []
    for line in lines:
        initial = entry.settings.get("recam_lr" if line.get("phase") == "ReCAM" else "lr")
        factor = line.get("lr_factor")
        if is_number(initial) and is_number(factor):
            points.append((float(line["epoch"]), float(initial) * float(factor)))
    return Series("learning rate", tuple(p[0] for p in points), tuple(p[1] for p in points)) if points else None


def _phases(lines: Sequence[Mapping[str, Any]]) -> str:
    last = {str(line["phase"]): line["epoch"] for line in lines if line.get("phase")}
    if len(last) < 2:
        return ""
    starts, parts = 1, []
    for phase, end in last.items():
        parts.append(f"{phase}: epochs {starts} to {end}" if end > starts else f"{phase}: epoch {end}")
        starts = end + 1
    return "; ".join(parts)
