"""report: everything a run holds on one page that needs neither network nor scripts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recam_cli.core.bounded import real_path
from recam_cli.core.data.registry import available_splits, open_dataset
from recam_cli.core.errors import RecamError
from recam_cli.core.report.canvas import jpeg_bytes, png_bytes, stack
from recam_cli.core.report.html import Picture, ReportData, render_report
from recam_cli.core.report.log import read_log
from recam_cli.core.report.run_curves import (
    class_pictures,
    coverage_pictures,
    stacked,
    threshold_pictures,
    training_curves,
)
from recam_cli.core.report.run_figures import (
    OWN_STAGE,
    Evaluation,
    class_tables,
    evaluations,
    notes,
    stage_settings,
    summary_rows,
)
from recam_cli.core.report.run_sheet import RunSheet
from recam_cli.core.reporter import Reporter
from recam_cli.core.runs.files import text_bytes
from recam_cli.core.runs.result_folder import ResultFolder
from recam_cli.core.runs.run import METRICS_NAME, Run
from recam_cli.core.runs.versions import versions
from recam_cli.core.settings.report import ReportSettings
from recam_cli.core.settings.resolve import Resolved

PAGE, CURVES, SHEET = "report.html", "curves.png", "sheet.png"


@dataclass(frozen=True)
class ReportResult:
    """What was written.

    Attributes:
        page: report.html.
        curves: curves.png, or None where the run has logged and scored nothing.
        sheet: sheet.png, or None without pictures.
    """

    page: Path
    curves: Path | None
    sheet: Path | None

    def as_dict(self) -> dict[str, Any]:
        """Return it JSON-ready."""
        return {key: None if path is None else str(path) for key, path in vars(self).items()}


def run(resolved: Resolved[ReportSettings], run: Run, reporter: Reporter) -> ReportResult:
    """Write the report of a run.

    Pictures that cannot be made, e.g. because the data set has moved, are warned of and left out.

    Raises:
        UsageError: the folder named holds another file of one of the names.
        RunError: the run has no finished train-cls, its log or an evaluation is damaged, or the folder cannot be
            written.
    """
    run.require("train-cls")
    settings = resolved.settings
    folder = ResultFolder.at(settings.out or run.path, run.path)
    folder.require_free((PAGE, CURVES, SHEET))
    with run.stage(OWN_STAGE, resolved) as entry:
        sheets = _sheets(settings, run, reporter)
        scored = evaluations(run)
        curves = [*training_curves(run, read_log(run.path / METRICS_NAME)), *threshold_pictures(scored)]
        curves += coverage_pictures(scored)
        all_curves = [*curves, *class_pictures(run, scored)]
        contents = {PAGE: text_bytes(render_report(_page(run, scored, curves, sheets)))}
        if all_curves:
            contents[CURVES] = png_bytes(stacked(all_curves))
        if sheets:
            contents[SHEET] = png_bytes(stack(sheets))
        written = {path.name: path for path in folder.write(contents)}
        entry.outputs = {name: run.output_of_file(path) for name, path in written.items()}
    return ReportResult(written[PAGE], written.get(CURVES), written.get(SHEET))


def _page(run: Run, scored: list[Evaluation], curves: list[Picture], sheets: list[np.ndarray]) -> ReportData:
    entry = run.require("train-cls")
    where = str(entry.settings.get("data_root") or "")
    data = f"{entry.settings.get('dataset', '')} {where}".strip()
    parts = [f"begun {run.manifest.created}", f"data: {data}", f"weights: {entry.notes.get('weights', '?')}"]
    return ReportData(
        title=real_path(run.path).name,
        subtitle=" · ".join(parts),
        notes=notes(run, scored),
        summary=summary_rows(run, scored),
        curves=curves,
        sheets=[Picture("Contact sheet", jpeg_bytes(sheet)) for sheet in sheets],
        tables=class_tables(run, scored),
        settings=stage_settings(run),
        versions=entry.versions or versions(),
    )


def _sheets(settings: ReportSettings, run: Run, reporter: Reporter) -> list[np.ndarray]:
    """Return the contact sheets of seeds and masks, and of predictions; fewer where there is less."""
    if settings.images == 0:
        return []
    seeds = run.entry("make-seeds")
    split = settings.split or str((seeds or run.require("train-cls")).settings.get("split", "train"))
    draw = RunSheet(run, settings.max_pixels, reporter)
    found: list[np.ndarray | None] = []
    try:
        found.append(draw.of_training(open_dataset(settings, split), settings.images))
        if settings.predict_split in available_splits(settings):
            images = open_dataset(settings, settings.predict_split)
            found.append(draw.of_predictions(images, settings.images))
    except RecamError as error:
        reporter.warn(f"no pictures in the report: {error}")
    return [sheet for sheet in found if sheet is not None]
