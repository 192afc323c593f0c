"""The figures of a run, taken from its manifest: summary, notes, tables by class, settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from recam_cli.core.bounded import read_json
from recam_cli.core.errors import RunError
from recam_cli.core.metrics.unlearned import LEARNED, unlearned_lines
from recam_cli.core.report.coverage_curves import CoverageLine
from recam_cli.core.report.curves import SweepLine
from recam_cli.core.report.html import ClassTable, StageSettings, SummaryRow
from recam_cli.core.runs.manifest import StageEntry
from recam_cli.core.runs.run import Run
from recam_cli.core.runs.verify import verified_file

Line = TypeVar("Line")

OWN_STAGE = "report"
_PREFIX = "evaluate-"
_MAKERS = {"seeds": "make-seeds", "masks": "make-masks", "segmentation": "train-seg"}
_ORDER = ("-cam", "", "-truth")
"""Plain CAM before ReCAM, the supervised reference last."""
_LEARNED = {"ap": "AP", "low": "at least", "high": "at most", "chance": "chance"}
"""Of what is known of a class, the figures shown, and their headings: AP, its interval of 90 %, and chance's 95 %."""
_SWEPT = "swept with ground truth"


@dataclass(frozen=True, eq=False)
class Evaluation:
    """One finished evaluation.

    Attributes:
        of: "seeds", "masks" or "segmentation".
        suffix: whose they are: "" the run's own, "-cam" its plain CAM's, "-truth" the supervised reference's.
        split: the images scored.
        figures: as `EvaluateResult.summary`, and `per_class`.
        curve: mIoU over thresholds, seeds only.
        coverage: precision and recall over coverage, masks with confidence only.
    """

    of: str
    suffix: str
    split: str
    figures: dict[str, Any]
    curve: SweepLine | None
    coverage: CoverageLine | None = None


def method_name(run: Run, suffix: str) -> str:
    """Return whose files a suffix means: "CAM", "ReCAM", or "true masks"."""
    if suffix == "-truth":
        return "true masks"
    trained, seeds = run.manifest.stages.get("train-cls"), run.entry("make-seeds")
    method = trained.settings.get("method", "recam") if trained is not None else "recam"
    if method == "auto" and seeds is not None:
        method = seeds.notes.get("method")  # which make-seeds chose
    return "CAM" if suffix == "-cam" or method == "cam" else "ReCAM"


def title_of(run: Run, of: str, suffix: str) -> str:
    """Return what is scored, in words: "ReCAM seeds", "segmentation (ReCAM masks)"."""
    name = method_name(run, suffix)
    if of != "segmentation":
        return f"{name} {of}"
    return f"segmentation ({name})" if suffix == "-truth" else f"segmentation ({name} masks)"


def evaluations(run: Run) -> list[Evaluation]:
    """Return the run's finished evaluations, seeds first, CAM before ReCAM.

    Raises:
        RunError: the file with an evaluation's curve is damaged, or has changed since.
    """
    found = []
    for stage, entry in run.manifest.stages.items():
        of, split = str(entry.metrics.get("of")), str(entry.metrics.get("split"))
        start, end = f"{_PREFIX}{of}", f"-{split}"
        if entry.state != "done" or of not in _MAKERS or not (stage.startswith(start) and stage.endswith(end)):
            continue
        suffix = stage[len(start) : len(stage) - len(end)]
        name = method_name(run, suffix)
        curve = _line(run, stage, entry, name, SweepLine.of) if of == "seeds" else None
        coverage = _line(run, stage, entry, name, CoverageLine.of) if of == "masks" else None
        found.append(Evaluation(of, suffix, split, dict(entry.metrics), curve, coverage))
    return sorted(found, key=lambda e: (list(_MAKERS).index(e.of), _rank(e.suffix), e.split))


_REFINERS = {"irn": "IRN", "irn+crf": "IRN and CRF", "psa": "PSA", "psa+crf": "PSA and CRF", "crf": "CRF"}
_PARTS = {
    "irn": ("confident-labels", "train-irn", "random-walk"),
    "psa": ("psa-labels", "train-psa", "random-walk"),
}
_SELF_TRAINING = ("draft-masks", "train-self", "self-training")


def summary_rows(run: Run, scored: Sequence[Evaluation]) -> list[SummaryRow]:
    """Return one line per stage and split scored; a stage that nobody scored has a line, too."""
    rows = []
    entry = run.manifest.stages.get("train-cls")
    if entry is not None:
        rows.append(SummaryRow("classifier", seconds=entry.seconds, note=_classifier_note(entry)))
    for of, maker in _MAKERS.items():
        for suffix in _ORDER:
            made = run.manifest.stages.get(maker + suffix)
            own = [e for e in scored if (e.of, e.suffix) == (of, suffix)]
            title = title_of(run, of, suffix)
            if made is not None and not own:
                state = "not evaluated" if made.state == "done" else made.state
                rows.append(SummaryRow(title, seconds=_seconds(run, maker, suffix), note=state))
            for index, one in enumerate(own):
                seconds = _seconds(run, maker, suffix) if index == 0 else None
                note = ", ".join(filter(None, (_refiner(made), _threshold_note(one))))
                rows.append(SummaryRow(title, one.figures.get("miou"), seconds, one.split, note))
    return rows


def _refiner(made: StageEntry | None) -> str:
    """Return how masks were refined, in words; nothing for what is no mask, and where they were only cut."""
    return _REFINERS.get(str(made.settings.get("refine")), "") if made is not None else ""


def _seconds(run: Run, maker: str, suffix: str) -> float | None:
    """Return how long a result took, the parts of its stage included."""
    made = run.manifest.stages.get(maker + suffix)
    if made is None or made.seconds is None:
        return None
    kind = str(made.settings.get("refine", "")).split("+")[0]
    names = _PARTS.get(kind, ()) + (_SELF_TRAINING if made.settings.get("self_epochs") else ())
    parts = [run.manifest.stages.get(part + suffix) for part in names]
    return made.seconds + sum(part.seconds or 0.0 for part in parts if part is not None)


def notes(run: Run, scored: Sequence[Evaluation]) -> list[str]:
    """Return what the reader must know about the figures."""
    trained = run.manifest.stages.get("train-cls")
    learned = unlearned_lines(trained.metrics.get(LEARNED) or {}) if trained is not None else []
    said = [f"{line[0].upper()}{line[1:]}." for line in learned]
    if any(e.figures.get("threshold_chosen") == _SWEPT for e in scored):
        said.append(
            f"Thresholds “{_SWEPT}” saw the true masks: their figures are upper bounds. "
            "“label-free” ones were chosen without."
        )
    if not scored:
        said.append(f"Nothing has been scored yet; with true masks: recam evaluate --of seeds --run {run.path}")
    unfinished = [f"{name} {e.state}" for name, e in run.manifest.stages.items() if e.state != "done"]
    unfinished = [text for text in unfinished if not text.startswith(OWN_STAGE + " ")]
    return [*said, f"Not finished: {', '.join(unfinished)}."] if unfinished else said


def class_tables(run: Run, scored: Sequence[Evaluation]) -> list[ClassTable]:
    """Return IoU by class, one table per split, and the classifier's average precision."""
    tables = []
    for split in dict.fromkeys(e.split for e in scored):
        own = [e for e in scored if e.split == split and isinstance(e.figures.get("per_class"), dict)]
        names = dict.fromkeys(name for e in own for name in e.figures["per_class"])
        columns = tuple(title_of(run, e.of, e.suffix) for e in own)
        rows = tuple((name, tuple(e.figures["per_class"].get(name) for e in own)) for name in names)
        if rows:
            tables.append(ClassTable(f"IoU on {split} (%)", columns, rows))
    entry = run.manifest.stages.get("train-cls")
    precision = entry.metrics.get("average_precision") if entry is not None else None
    if isinstance(precision, dict) and precision:
        rows = tuple((name, (value,)) for name, value in precision.items())
        tables.append(ClassTable("Average precision of the classifier, held-out images (%)", ("AP",), rows))
    learned = entry.metrics.get(LEARNED) if entry is not None else None
    if entry is not None and isinstance(learned, dict) and learned:
        of = "the probe, cross-validated" if "cross_validated_map" in entry.metrics else "the classifier"
        rows = tuple((name, tuple(one.get(key) for key in _LEARNED)) for name, one in learned.items())
        title = f"Average precision of {of}, beside what chance reaches (%)"
        tables.append(ClassTable(title, tuple(_LEARNED.values()), rows))
    return tables


def stage_settings(run: Run) -> list[StageSettings]:
    """Return every stage's command and settings with their sources, in the order they were run."""
    return [
        StageSettings(
            name,
            entry.command,
            tuple((key, value, entry.sources.get(key, "default")) for key, value in entry.settings.items()),
        )
        for name, entry in run.manifest.stages.items()
        if name != OWN_STAGE
    ]


def _line(run: Run, stage: str, entry: StageEntry, name: str, read: Callable[[str, Any], Line]) -> Line | None:
    output = f"{stage[len(_PREFIX) :]}.json"
    if output not in entry.outputs or not (run.path / entry.outputs[output].path).is_file():
        return None
    path, _ = verified_file(run, stage, output, remedy="Run the evaluation again")
    try:
        return read(name, read_json(path))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise RunError(f"{path}: damaged evaluation: {error}", remedy="Run the evaluation again") from None


def _rank(suffix: str) -> int:
    return _ORDER.index(suffix) if suffix in _ORDER else len(_ORDER)


def _classifier_note(entry: StageEntry) -> str:
    parts = [str(entry.notes.get("backbone", ""))] if entry.notes.get("backbone") else []
    if isinstance(entry.metrics.get("cross_validated_map"), int | float):
        parts.append(f"mAP {entry.metrics['cross_validated_map']:.1f} % of the probe, cross-validated")
    for key, name in (("probe_map", "the probe"), ("cam_map", "CAM"), ("recam_map", "ReCAM")):
        if isinstance(entry.metrics.get(key), int | float):
            parts.append(f"mAP {entry.metrics[key]:.1f} % after {name}")
    if entry.state != "done":
        parts.append(entry.state)
    return ", ".join(parts)


def _threshold_note(one: Evaluation) -> str:
    threshold, label_free = one.figures.get("threshold"), one.figures.get("label_free")
    parts = []
    if isinstance(threshold, int | float):
        chosen = one.figures.get("threshold_chosen")
        parts.append(f"threshold {threshold:.2f}" + (f" ({chosen})" if chosen else ""))
    label_free = label_free if isinstance(label_free, dict) else {}
    known = label_free.get("miou") is not None and label_free.get("threshold") is not None
    if known and label_free["threshold"] != threshold:
        parts.append(f"label-free at {label_free['threshold']:.2f}: {label_free['miou']:.1f}")
    return "; ".join(parts)
