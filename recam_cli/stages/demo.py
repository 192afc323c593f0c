"""demo: `recam run` on the built-in data set, with plain CAM beside ReCAM, a table, a contact sheet and the report."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from recam_cli.core.data.shapes import ShapesSpec, open_shapes, spec_of
from recam_cli.core.errors import RunError
from recam_cli.core.hardware import choose_device, choose_precision
from recam_cli.core.metrics.figures import percent
from recam_cli.core.metrics.result import EvaluateResult
from recam_cli.core.report.canvas import png_bytes
from recam_cli.core.report.comparison import ComparisonSheet, telling_samples
from recam_cli.core.report.run_figures import OWN_STAGE as REPORT
from recam_cli.core.reporter import Reporter
from recam_cli.core.runs.files import write_bytes
from recam_cli.core.runs.manifest import MANIFEST_NAME, Manifest
from recam_cli.core.runs.run import RUNS_FOLDER, Run
from recam_cli.core.settings.declare import settings_of
from recam_cli.core.settings.demo import DemoSettings
from recam_cli.core.settings.evaluate import EvaluateSettings
from recam_cli.core.settings.make_masks import MakeMasksSettings
from recam_cli.core.settings.make_seeds import MakeSeedsSettings
from recam_cli.core.settings.presets import preset_values
from recam_cli.core.settings.report import ReportSettings
from recam_cli.core.settings.resolve import Resolved, resolve
from recam_cli.core.settings.run import resolve_stages
from recam_cli.stages import evaluate, make_masks, make_seeds, report, run_all, run_plan

PRESET = "shapes"
SHEET = "demo.png"

S = TypeVar("S")
R = TypeVar("R")
Changes = Mapping[str, Mapping[str, Any]]
"""Stage name → setting → value that wins over the preset."""


@dataclass(frozen=True)
class DemoRow:
    """One line of the table.

    Attributes:
        name: what was made.
        split: the images it was scored on.
        miou: in percent; nothing behind it has seen a true mask. None where nothing is scored.
        best: of seeds, the highest mIoU in percent of any threshold, which is chosen with the true masks.
        best_threshold: that threshold.
        seconds: wall-clock time of making it, without what an interrupted demo had made before.
    """

    name: str
    split: str
    seconds: float
    miou: float | None = None
    best: float | None = None
    best_threshold: float | None = None


@dataclass(frozen=True)
class DemoResult:
    """What the demo made.

    Attributes:
        run: the run directory.
        data: the drawn data set.
        rows: the table.
        sheet: the contact sheet, a PNG.
        report: the HTML report.
        seconds: wall-clock time of everything.
    """

    run: Path
    data: Path
    rows: tuple[DemoRow, ...]
    sheet: Path
    report: Path
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Return it JSON-ready."""
        paths = {name: str(getattr(self, name)) for name in ("run", "data", "sheet", "report")}
        return {**paths, "rows": [vars(row) for row in self.rows], "seconds": self.seconds}


def run(resolved: Resolved[DemoSettings], reporter: Reporter, *, changes: Changes | None = None) -> DemoResult:
    """Run all stages from nothing, or go on where a demo of the same settings and the same `out` was interrupted.

    Args:
        resolved: the settings.
        reporter: receives messages and progress.
        changes: values that win over the preset, by stage.

    Raises:
        RunError: the run directory or the folder of its images exists already, and is none to go on with.
        UsageError: as the stages.
    """
    settings = resolved.settings
    out = settings.out or RUNS_FOLDER / f"demo-{datetime.now():%Y%m%d-%H%M%S}"
    data = out.with_name(f"{out.name}-data")
    work = _Demo(settings, out, data.absolute(), reporter, changes or {})
    for path, is_own in ((out, work.is_own_run), (data, work.is_own_data)):
        if path.exists() and not is_own():
            raise RunError(f"{path} exists already", remedy="Choose another --out, or move it away")
    return work.run()


@dataclass
class _Demo:
    """One demo under way."""

    settings: DemoSettings
    out: Path
    data: Path
    reporter: Reporter
    changes: Changes
    rows: list[DemoRow] = field(default_factory=list)

    @property
    def spec(self) -> ShapesSpec:
        """What its images are made from."""
        return ShapesSpec(seed=self.settings.seed, train=self.settings.images, val=self.settings.val_images)

    @property
    def whole(self) -> run_plan.Whole:
        """What `recam run` would do on its images, up to the segmenter."""
        stages = resolve_stages(self._shared(), dataset=PRESET, changes=self.changes)
        return run_plan.Whole(self.out, stages, ("train-cls", "make-seeds", "make-masks", "train-seg"), PRESET)

    def is_own_data(self) -> bool:
        """Return whether a demo of these settings has drawn its images there, or some of them."""
        return spec_of(self.data) == self.spec

    def is_own_run(self) -> bool:
        """Return whether the run is that of a demo of these settings that was not finished."""
        if not self.out.is_dir():
            return False
        stages = Manifest.load(self.out).stages if (self.out / MANIFEST_NAME).is_file() else {}
        finished = REPORT in stages and stages[REPORT].state == "done"
        return not finished and run_plan.is_begun(self.whole)

    def run(self) -> DemoResult:
        begun = time.monotonic()
        drawn = self._timed(lambda: open_shapes(self.data, "train", self.spec))
        self._row("images", "", drawn[1])
        made = run_all.run(self.whole, self.reporter, estimated=False)
        self._row("classifier", "train", made.seconds["train-cls"])
        run = Run.open(self.out)
        self._seeds(run, made.seconds)
        scored = self._evaluate(run, "segmentation", "val")
        self._row("segmentation", "val", made.seconds["train-seg"], scored.miou)
        sheet = self._draw(run)
        page = report.run(self._resolved(ReportSettings, "report"), run, self.reporter).page
        seconds = round(time.monotonic() - begun, 1)
        return DemoResult(self.out, self.data, tuple(self.rows), sheet, page, seconds)

    def _seeds(self, run: Run, took: Mapping[str, float]) -> None:
        """Make the seeds and masks of plain CAM beside those of ReCAM, and score both."""
        methods = {"cam": "CAM", "recam": "ReCAM"}
        seconds = {"recam seeds": took["make-seeds"], "recam masks": took["make-masks"]}
        seeds = self._resolved(MakeSeedsSettings, "make-seeds", method="cam", seed_weights="fc1")
        seconds["cam seeds"] = self._timed(lambda: make_seeds.run(seeds, run, self.reporter))[1]
        masks = self._resolved(MakeMasksSettings, "make-masks", method="cam")
        seconds["cam masks"] = self._timed(lambda: make_masks.run(masks, run, self.reporter))[1]
        for of in ("seeds", "masks"):
            for method, name in methods.items():
                result = self._evaluate(run, of, "train", method=method)
                made_in = seconds[f"{method} {of}"]
                if of == "masks":
                    self._row(f"{name} masks", "train", made_in, result.miou)
                else:
                    free = percent(result.label_free[1]) if result.label_free else None
                    self._row(f"{name} seeds", "train", made_in, free, result.miou, result.threshold)

    def _evaluate(self, run: Run, of: str, split: str, **values: Any) -> EvaluateResult:
        resolved = self._resolved(EvaluateSettings, "evaluate", of=of, split=split, **values)
        return evaluate.run(resolved, run, self.reporter)

    def _draw(self, run: Run) -> Path:
        device = choose_device(self.settings.device)
        sheet = ComparisonSheet(run, device, choose_precision(self.settings.precision, device))
        images = open_shapes(self.data, "train")
        path = self.out / SHEET
        write_bytes(path, png_bytes(sheet.draw(images, telling_samples(images, self.settings.pictures))))
        return path

    def _resolved(self, cls: type[S], stage: str, **values: Any) -> Resolved[S]:
        """Return a stage's settings: the preset's, unless `values` or the demo's own settings say otherwise."""
        flags = {name: value for name, value in self._shared().items() if name in settings_of(cls)}
        flags |= {"dataset": PRESET, **values, **self.changes.get(stage, {})}
        return resolve(cls, flags=flags, preset=preset_values(PRESET, PRESET, stage))

    def _shared(self) -> dict[str, Any]:
        """Return what all stages have alike."""
        shared = ("seed", "device", "precision", "deterministic", "workers")
        return {"data_root": self.data, **{name: getattr(self.settings, name) for name in shared}}

    def _row(self, name: str, split: str, seconds: float, *figures: float | None) -> None:
        self.rows.append(DemoRow(name, split, round(seconds, 1), *figures))

    def _timed(self, work: Callable[[], R]) -> tuple[R, float]:
        begun = time.monotonic()
        result = work()
        return result, time.monotonic() - begun
