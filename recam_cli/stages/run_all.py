"""run: every stage in turn, from photographs with image-level labels to masks, a segmenter and a report.

The run keeps what was meant in run.json (`core/runs/plan.py`), so that the same command goes on where it was stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from recam_cli.core.data.registry import available_splits, data_root, open_dataset
from recam_cli.core.data.samples import ImageSet
from recam_cli.core.data.unlabelled import unlabelled_photos
from recam_cli.core.errors import DataError, RunError
from recam_cli.core.metrics.unlearned import LEARNED
from recam_cli.core.reporter import Reporter, overall_of
from recam_cli.core.run_estimate import Estimate, estimate, in_words
from recam_cli.core.runs.files import fingerprint, sha256_of_all
from recam_cli.core.runs.next_command import has_snapshot
from recam_cli.core.runs.plan import RunPlan
from recam_cli.core.runs.run import Run, asked_command
from recam_cli.core.settings.predict import PredictSettings
from recam_cli.core.settings.resolve import Resolved, resolve
from recam_cli.stages import check_data, make_masks, make_seeds, predict, report, train_cls, train_seg
from recam_cli.stages.run_plan import Whole, differing, entries, is_done, is_there, matter

UNLABELLED = Path("predictions") / "unlabelled"
PREDICT = "predict"
"""Stands for the prediction of photographs without a label, which follows train-seg."""
_SHOWN = 10
_ANOTHER = "begin another run with --run"


@dataclass(frozen=True)
class RunAllResult:
    """What was made.

    Attributes:
        run: the run directory.
        photographs: labelled ones, of the splits that train or are held out.
        classes: their names.
        results: what each stage returned, JSON-ready, by name.
        seconds: wall-clock time of each stage, without what was interrupted.
        new: whether anything was left to do.
    """

    run: Path
    photographs: int
    classes: tuple[str, ...]
    results: Mapping[str, Mapping[str, Any]]
    seconds: Mapping[str, float]
    new: bool

    def of(self, stage: str, name: str) -> Any:
        """Return what a stage returned under a name; None where it was not done."""
        return self.results.get(stage, {}).get(name)

    def as_dict(self) -> dict[str, Any]:
        """Return it JSON-ready."""
        return {
            "run": str(self.run),
            "photographs": self.photographs,
            "classes": list(self.classes),
            "map": self.of("train-cls", "map"),
            "masks": self.of("make-masks", "folder"),
            "segmenter": self.of("train-seg", "weights"),
            "predictions": self.of("train-seg", "predictions"),
            "unlabelled": self.of(PREDICT, "folder"),
            "report": self.of("report", "page"),
            "stages": dict(self.results),
            "seconds": dict(self.seconds),
            "new": self.new,
        }


def run(whole: Whole, reporter: Reporter, *, estimated: bool = True) -> RunAllResult:
    """Do the stages that are not done yet.

    Args:
        whole: what is to be done.
        reporter: receives messages and progress.
        estimated: whether to measure this machine and say first how long it will take.

    Raises:
        DataError: the data set cannot be used.
        RunError: the run directory holds something else, or stages done with other settings or other data.
        UsageError: as the stages.
    """
    return _Work(whole, reporter, estimated).run()


class _Work:
    """One call."""

    def __init__(self, whole: Whole, reporter: Reporter, estimated: bool) -> None:
        self.whole, self.reporter, self.estimated = whole, reporter, estimated
        self.plan = RunPlan()
        self.sets: dict[str, ImageSet] = {}
        self.unlabelled: list[Path] = []

    def run(self) -> RunAllResult:
        self._take_up()
        self.unlabelled = self._unlabelled()
        left = self._left()
        if not left:
            self.reporter.info(f"{self.whole.path} is finished: nothing is left to do")
            return self._result(new=False)
        estimates = self._announce(left)
        if self.plan.settings:
            self._write_plan()
        with overall_of(self.reporter, sum(estimates.values())) as overall:
            before = 0.0
            for name in left:
                number = self.whole.names.index("train-seg" if name == PREDICT else name) + 1
                overall.begin(f"{number}/{len(self.whole.names)} {name}", before, estimates.get(name, 0.0))
                self._do(name)
                before += estimates.get(name, 0.0)
        return self._result(new=True)

    def _take_up(self) -> None:
        """Find out what was done of this before, and refuse what this is not.

        Raises:
            RunError: something else is there, or stages were done with other settings or other data.
        """
        whole, plan = self.whole, RunPlan.load(self.whole.path)
        if plan is None:
            if whole.path.exists() and (not whole.path.is_dir() or any(whole.path.iterdir())):
                raise RunError(f"{whole.path} exists already, but not by this command", remedy="Choose another --run")
            return
        self.plan = plan
        if (differ := differing(whole, plan)) is not None:
            stage, what = differ
            raise RunError(
                f"{whole.path}: {stage} was done with other settings: {what}",
                remedy=f"Give those of then, or {_ANOTHER}",
            )
        if not is_done(whole.path, "train-cls") and not has_snapshot(whole.path, "train-cls"):
            self.plan = RunPlan()  # nothing was made of the data yet: look at it again
            return
        self._open_sets()
        changed = [split for split, data in self._data().items() if plan.data.get(split) != data]
        if changed:
            raise RunError(
                f"{data_root(whole.training)}: photographs or labels of the split {changed[0]} have changed since "
                f"{whole.path} was begun",
                remedy=f"Restore them, or {_ANOTHER}",
            )

    def _left(self) -> list[str]:
        """Return the stages to do: from the first on that is not done, as each later one depends on it."""
        names = [name for stage in self.whole.names for name in (stage, *((PREDICT,) if stage == "train-seg" else ()))]
        if not self.unlabelled:
            names.remove(PREDICT) if PREDICT in names else None
        first = next((k for k, name in enumerate(names) if not self._is_kept(name)), len(names))
        return names[first:]

    def _is_kept(self, name: str) -> bool:
        noted = self.plan.results.get(name)
        if noted is None:
            return False
        if name == "check-data":
            return True
        if name == PREDICT:
            return bool(noted.get("fingerprint") == self._unlabelled_hash())
        entry = entries(self.whole.path).get(name)
        if entry is None or entry.state != "done" or entry.fingerprint != noted.get("fingerprint"):
            return False
        return all(is_there(self.whole.path / output.path, output.count) for output in entry.outputs.values())

    def _unlabelled(self) -> list[Path]:
        settings = self.whole.training
        if "train-seg" not in self.whole.names:
            return []
        return unlabelled_photos(settings.dataset, data_root(settings), settings.labels)

    def _unlabelled_hash(self) -> str:
        return fingerprint([[str(path) for path in self.unlabelled], sha256_of_all(self.unlabelled)])

    def _announce(self, left: list[str]) -> dict[str, float]:
        """Say what was recognised, where the run goes and how long it will take; returns the seconds by stage."""
        whole, settings = self.whole, self.whole.training
        try:
            self._open_sets()
        except DataError:
            if left[0] != "check-data":
                raise
            self.reporter.info(f"{data_root(settings)}: {self._kind()}; run {whole.path}")
            return {}  # check-data tells all that is wrong
        counts = [f"{sum(map(len, self.sets.values()))} photographs", f"{len(self._classes())} classes"]
        counts += [f"{len(self.unlabelled)} without label"] if self.unlabelled else []
        found = Estimate({})
        if self.estimated:
            train = self.sets[settings.split]
            held_out = [images for split, images in self.sets.items() if split != settings.split]
            found = estimate(whole.stages, left, train, held_out, self.unlabelled)
        about = f"; about {in_words(found.total)} on this machine" if found.seconds else ""
        self.reporter.info(f"{data_root(settings)}: {', '.join(counts)} ({self._kind()}); run {whole.path}{about}")
        return dict(found.seconds)

    def _kind(self) -> str:
        why = f": {self.whole.why}" if self.whole.why else ""
        return f"{self.whole.training.dataset}{why}"

    def _open_sets(self) -> None:
        """Read the splits that train and those that are held out, as far as the data set has them."""
        if self.sets:
            return
        settings = self.whole.training
        there = available_splits(settings)
        later = [name for name in (settings.val_split, self.whole.segmenting.predict_split) if name in there]
        for split in dict.fromkeys((settings.split, *later)):
            self.sets[split] = open_dataset(settings, split)

    def _data(self) -> dict[str, str]:
        return {split: images.fingerprint() for split, images in self.sets.items()}

    def _classes(self) -> tuple[str, ...]:
        return self.sets[self.whole.training.split].classes

    def _do(self, name: str) -> None:
        whole, begun = self.whole, time.monotonic()
        if name == "train-cls" and not is_done(whole.path, name):
            self._begin()
        try:
            result = _STAGES[name](self)
        except RunError as error:
            if error.remedy is None or "--overwrite" not in error.remedy:
                raise
            remedy = f"Add overwrite = true to [{name}] of --config, which keeps the old ones aside, or {_ANOTHER}"
            raise RunError(error.message, remedy=remedy) from None
        entry = entries(whole.path).get(name)
        noted = self._unlabelled_hash() if name == PREDICT else entry.fingerprint if entry is not None else ""
        seconds = round(time.monotonic() - begun, 1)
        self.plan.results[name] = {"fingerprint": noted, "seconds": seconds, "result": result}
        if self.plan.settings:  # before train-cls there is no run
            self.plan.save(whole.path)

    def _begin(self) -> None:
        """Write down what is meant before anything is made, so that the same command finds its own run."""
        self._open_sets()
        self.plan.data = self._data()
        self._write_plan()

    def _write_plan(self) -> None:
        self.plan.settings |= matter(self.whole)
        self.plan.until, self.plan.command = self.whole.names[-1], asked_command()
        try:
            self.whole.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(
                f"{self.whole.path} cannot be made: {error.strerror}", remedy="Choose another --run"
            ) from None
        self.plan.save(self.whole.path)

    def check(self) -> dict[str, Any]:
        found = check_data.run(self.whole.stages["check-data"], self.reporter)
        if not found.passed:
            for problem in found.problems[:_SHOWN]:
                self.reporter.warn(str(problem))
            found.raise_on_errors()
        return found.as_dict()

    def train_classifier(self) -> dict[str, Any]:
        whole, name = self.whole, "train-cls"
        entry = entries(whole.path).get(name)
        if entry is not None and entry.state == "done":  # killed before its result was noted
            held_out = self.sets.get(whole.training.val_split, ())
            measured = entry.metrics.get("average_precision", {})
            weights = str(entry.notes.get("weights", ""))
            images = len(self.sets[whole.training.split])
            score = entry.metrics.get("map")
            learned = entry.metrics.get(LEARNED, {})
            return train_cls.TrainClsResult(
                whole.path, images, {}, measured, score, len(held_out), weights, learned
            ).as_dict()
        return train_cls.run(self._going_on(name), whole.path, self.reporter, preset=whole.preset).as_dict()

    def train_segmenter(self) -> dict[str, Any]:
        return train_seg.run(self._going_on("train-seg"), Run.open(self.whole.path), self.reporter).as_dict()

    def _going_on(self, name: str) -> Resolved[Any]:
        """Return the settings of a training, with `resume` where it was interrupted and can go on."""
        resolved = self.whole.stages[name]
        resume = not is_done(self.whole.path, name) and has_snapshot(self.whole.path, name)
        return Resolved(replace(resolved.settings, resume=resume), resolved.sources)

    def predict(self) -> dict[str, Any]:
        names = (
            "device",
            "precision",
            "deterministic",
            "workers",
            "memory",
            "max_pixels",
            "eval_scales",
            "flip",
            "crf",
        )
        flags = {name: getattr(self.whole.segmenting, name) for name in names}
        resolved = resolve(PredictSettings, flags=flags | {"out": self.whole.path / UNLABELLED, "overwrite": True})
        return predict.run(resolved, Run.open(self.whole.path), self.reporter, self.unlabelled).as_dict()

    def plain(self, stage: Any, name: str) -> dict[str, Any]:
        found: dict[str, Any] = stage.run(self.whole.stages[name], Run.open(self.whole.path), self.reporter).as_dict()
        return found

    def _result(self, *, new: bool) -> RunAllResult:
        self._open_sets()
        names = (*self.whole.names, PREDICT)
        results = {name: noted for name, noted in self.plan.results.items() if name in names}
        return RunAllResult(
            self.whole.path,
            sum(map(len, self.sets.values())),
            self._classes(),
            {name: noted.get("result", {}) for name, noted in results.items()},
            {name: noted.get("seconds", 0.0) for name, noted in results.items()},
            new,
        )


_STAGES: Mapping[str, Callable[[_Work], dict[str, Any]]] = {
    "check-data": _Work.check,
    "train-cls": _Work.train_classifier,
    "make-seeds": lambda work: work.plain(make_seeds, "make-seeds"),
    "make-masks": lambda work: work.plain(make_masks, "make-masks"),
    "train-seg": _Work.train_segmenter,
    PREDICT: _Work.predict,
    "report": lambda work: work.plain(report, "report"),
}
