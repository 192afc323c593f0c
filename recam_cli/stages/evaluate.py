"""`evaluate`: score seeds, masks or predictions against true masks, in one pass and constant memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from recam_cli.core.data.classes import read_classes
from recam_cli.core.data.samples import IGNORE, ImageSet
from recam_cli.core.errors import DataError, RunError, UsageError
from recam_cli.core.metrics.result import Chosen, EvaluateResult
from recam_cli.core.metrics.score_files import Pair, folder_pairs, score_coverage, score_masks, score_seeds
from recam_cli.core.metrics.sources import Source, label_free_threshold, noted_threshold
from recam_cli.core.metrics.sweep import threshold_grid
from recam_cli.core.metrics.table import confusion_table, coverage_table, csv_text, rows_of
from recam_cli.core.reporter import Reporter
from recam_cli.core.runs.classes import require_classes
from recam_cli.core.runs.files import json_bytes, text_bytes
from recam_cli.core.runs.result_folder import ResultFolder
from recam_cli.core.runs.run import Run
from recam_cli.core.runs.stage_facts import MEASURED_NOTE
from recam_cli.core.settings.evaluate import EvaluateSettings
from recam_cli.core.settings.resolve import Resolved

EVALUATION_FOLDER = "evaluation"
_FOLDERS = "folders"
"""What is scored where no run is, and the name of its files."""


def run(resolved: Resolved[EvaluateSettings], run: Run | None, reporter: Reporter) -> EvaluateResult:
    """Score what the settings name.

    Args:
        resolved: the settings; data set and data root are the run's unless given.
        run: the run to score; not needed, and not touched, for `pred_dir`/`truth_dir`.
        reporter: where messages and progress go.

    Returns:
        The figures; `files` lists what was written: `<of>[-cam]-<split>.json`, `.csv` and `-confusion.csv`, and of
        masks with confidence `-coverage.csv`.

    Raises:
        UsageError: settings that contradict each other, or the folder named holds another file of one of the names.
        DataError: true masks that are missing, or files that do not fit them.
        RunError: no run, or a run without the seeds, masks or predictions of an image of the split.
    """
    settings = resolved.settings
    _check_combination(resolved)
    if settings.pred_dir is not None and settings.truth_dir is not None:
        return _score_folders(settings, settings.pred_dir, settings.truth_dir, reporter)
    if run is None:
        raise RunError("evaluate needs a run", remedy="Name one with --run, or score --pred-dir against --truth-dir")
    return _score_run(resolved, run, reporter)


def _check_combination(resolved: Resolved[EvaluateSettings]) -> None:
    settings = resolved.settings
    if (settings.pred_dir is None) != (settings.truth_dir is None):
        raise UsageError("--pred-dir and --truth-dir go together", remedy="Give both folders, or neither")
    flagged = {name for name, source in resolved.sources.items() if source == "flag"}
    if settings.truth_dir is None:
        alien = {name for name in ("id_list", "classes") if getattr(settings, name) is not None}
        place = "with --pred-dir and --truth-dir"
    else:
        alien, place = (
            flagged & {"of", "split", "method", "threshold", "thresholds"},
            "with a run, not with two folders",
        )
    if alien:
        raise UsageError(f"--{min(alien).replace('_', '-')} goes {place}", remedy="Drop it")
    if settings.of != "seeds" and flagged & {"threshold", "thresholds"}:
        raise UsageError(f"thresholds are those of seeds, not of {settings.of}", remedy="Say --of seeds, or drop them")
    if settings.of != "segmentation" and settings.method == "truth":
        raise UsageError(f"--method truth names predictions, not {settings.of}", remedy="Say --of segmentation")
    _given_threshold(settings)


def _given_threshold(settings: EvaluateSettings) -> float | None:
    """Return the threshold as a number, None for sweep and auto."""
    if settings.threshold in ("sweep", "auto"):
        return None
    try:
        value = float(settings.threshold)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 1.0:
        raise UsageError(f"--threshold: {settings.threshold!r} is neither sweep, auto nor a number from 0 to 1")
    return value


def _score_folders(settings: EvaluateSettings, pred_dir: Path, truth_dir: Path, reporter: Reporter) -> EvaluateResult:
    folder = None if settings.out is None else ResultFolder.at(settings.out, None)
    if folder is not None:
        folder.require_free(_names(_FOLDERS, _FOLDERS))
    classes = read_classes(settings.classes) if settings.classes else None
    pairs, unused = folder_pairs(pred_dir, truth_dir, settings.id_list)
    if unused:
        why = "not on the list" if settings.id_list else f"without a true mask in {truth_dir}"
        reporter.warn(f"{pred_dir}: {unused} PNGs are not scored, being {why}")
    num_values = IGNORE if classes is None else len(classes) + 1
    with reporter.track("scoring masks", len(pairs)) as progress:
        confusion = score_masks(pairs, num_values, progress, ignored=settings.ignored, max_pixels=settings.max_pixels)
    if classes is None:
        confusion = confusion.trimmed()
        classes = tuple(str(value) for value in range(1, confusion.num_values))
    result = EvaluateResult(_FOLDERS, None, "run", len(pairs), ("background", *classes), confusion)
    _require_pixels(result, truth_dir)
    return result if folder is None else _written(result, folder, _FOLDERS)


def _score_run(resolved: Resolved[EvaluateSettings], run: Run, reporter: Reporter) -> EvaluateResult:
    settings = resolved.settings
    source = Source.find(run, settings.of, settings.method, settings.split)
    name = f"{settings.of}{source.suffix}-{source.split}"
    folder = ResultFolder.at(settings.out or run.path / EVALUATION_FOLDER, run.path)
    folder.require_free(_names(name, settings.of))
    images = _open_images(settings, source.split)
    require_classes(run, source.stage if settings.of == "segmentation" else "train-cls", images.classes, images.root)
    fault = source.fault(run)
    if fault is not None:
        reporter.warn(fault)
    pairs = source.pairs(images)
    source.check(run, pairs)
    stage = f"evaluate-{name}"
    with run.stage(stage, resolved, inputs=source.inputs(run)) as entry:
        score = _score_seeds if settings.of == "seeds" else _score_masks
        result = score(settings, run, source, images, pairs, reporter)
        _require_pixels(result, images.root)
        result = _written(result, folder, name)
        entry.notes[MEASURED_NOTE] = {"split": images.split, "masks": images.mask_fingerprint()}
        entry.metrics = {**result.summary(), "per_class": result.as_dict()["per_class"]}
        entry.outputs = {path.name: run.output_of_file(path) for path in result.files}
    run.log(stage=stage, **result.summary())
    return result


def _open_images(settings: EvaluateSettings, split: str) -> ImageSet:
    from recam_cli.core.data.registry import open_dataset

    return open_dataset(settings, split)


def _score_masks(
    settings: EvaluateSettings,
    run: Run,
    source: Source,
    images: ImageSet,
    pairs: list[Pair],
    reporter: Reporter,
) -> EvaluateResult:
    names = images.mask_names()
    pairs, ignored, coverage = _with_confidence(source, pairs, reporter), settings.ignored, None
    with reporter.track(f"scoring {source.of}{source.suffix}", len(pairs)) as progress:
        if pairs[0].confidence is None:
            confusion = score_masks(pairs, len(names), progress, ignored=ignored, max_pixels=settings.max_pixels)
        else:
            counts = score_coverage(pairs, len(names), progress, ignored=ignored, max_pixels=settings.max_pixels)
            confusion, coverage = counts.confusion(), counts.curve()
    stage = "make-masks" + source.suffix
    threshold, chosen = noted_threshold(run, stage) if source.of == "masks" else (None, None)
    return EvaluateResult(
        of=source.of,
        split=images.split,
        variant=source.suffix.removeprefix("-") or "run",
        images=len(pairs),
        names=names,
        confusion=confusion,
        threshold=threshold,
        threshold_chosen=chosen,
        coverage=coverage,
    )


def _with_confidence(source: Source, pairs: list[Pair], reporter: Reporter) -> list[Pair]:
    """Return the pairs with their masks' confidence, where each has one; else as they are."""
    if source.of != "masks":
        return pairs
    found = source.with_confidence(pairs)
    missing = [pair.prediction.stem for pair in found if pair.confidence is None]
    if 0 < len(missing) < len(found):
        reporter.warn(f"no figures by confidence: {len(missing)} masks have none, {missing[0]} for one")
    return pairs if missing else found


def _score_seeds(
    settings: EvaluateSettings,
    run: Run,
    source: Source,
    images: ImageSet,
    pairs: list[Pair],
    reporter: Reporter,
) -> EvaluateResult:
    names = images.mask_names()
    grid = threshold_grid(settings.thresholds)
    given, label_free = _given_threshold(settings), label_free_threshold(run, source.suffix)
    if settings.threshold == "auto" and label_free is None:
        raise RunError(
            f"{run.path} holds no threshold chosen without ground truth",
            remedy="Run: recam make-masks --threshold auto, or evaluate with --threshold sweep or a number",
        )
    wanted = [*grid, *(t for t in (given, label_free) if t is not None)]
    with reporter.track(f"scoring {source.of}{source.suffix}", len(pairs)) as progress:
        sweep = score_seeds(pairs, len(names), wanted, progress, max_pixels=settings.max_pixels)
    curve, everywhere = sweep.curve(grid), sweep.curve()
    chosen: Chosen = "swept with ground truth"
    threshold = curve.best[0]
    if given is not None:
        threshold, chosen = given, "given"
    elif settings.threshold == "auto" and label_free is not None:
        threshold, chosen = label_free, "label-free"
    return EvaluateResult(
        of=source.of,
        split=images.split,
        variant=source.suffix.removeprefix("-") or "run",
        images=len(pairs),
        names=names,
        confusion=sweep.confusion(threshold),
        threshold=threshold,
        threshold_chosen=chosen,
        curve=curve,
        label_free=None if label_free is None else (label_free, everywhere.at(label_free)),
    )


def _require_pixels(result: EvaluateResult, where: Path) -> None:
    if result.confusion.total == 0:
        raise DataError(
            f"{where}: no pixel to score: the true masks are {IGNORE} (ignore) everywhere",
            remedy="Check the true masks",
        )


def _names(name: str, of: str) -> list[str]:
    """Return the names of the files that scores may become."""
    ends = (".json", ".csv", "-confusion.csv", *(("-coverage.csv",) if of == "masks" else ()))
    return [f"{name}{end}" for end in ends]


def _written(result: EvaluateResult, folder: ResultFolder, name: str) -> EvaluateResult:
    """Write the figures as JSON, the table and the raw counts as CSV; return `result` with its `files`."""
    tables = [rows_of(result), confusion_table(result)]
    if result.coverage is not None:
        tables.append(coverage_table(result.coverage))
    contents = [json_bytes(result.as_dict()), *(text_bytes(csv_text(table)) for table in tables)]
    files = folder.write(dict(zip(_names(name, result.of), contents, strict=False)))
    return replace(result, files=files)
