"""make-masks: cut each seed at the threshold, refine it on its photograph, write the pseudo mask."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from recam_cli.core.cams.store import Seed, read_seed
from recam_cli.core.data.registry import open_dataset
from recam_cli.core.data.samples import ImageSet, Sample
from recam_cli.core.errors import RunError, UsageError
from recam_cli.core.masks.confident import ConfidentThresholds
from recam_cli.core.masks.crf import check_backend, resolve_backend
from recam_cli.core.masks.job import MaskJob, MaskTally, Summary, refinement_of
from recam_cli.core.masks.pool import run_over
from recam_cli.core.reporter import Progress, Reporter
from recam_cli.core.runs.classes import require_classes
from recam_cli.core.runs.files import sha256_of
from recam_cli.core.runs.items import ItemFolder
from recam_cli.core.runs.run import Run, result_settings, stage_fingerprint
from recam_cli.core.runs.variants import command, require_variant, resolve_method, variant_suffix
from recam_cli.core.settings.declare import part_of
from recam_cli.core.settings.make_masks import CutSettings, MakeMasksSettings
from recam_cli.core.settings.resolve import Resolved

STAGE = "make-masks"
AUTO = "auto"


@dataclass(frozen=True)
class MakeMasksResult:
    """What was made.

    Attributes:
        folder: where the masks lie.
        images: number of images of the split, each with a mask now.
        made: masks made by this call.
        kept: masks of the same settings that were there before.
        threshold: the background's score.
        threshold_chosen: "given" or "label-free".
        how: how it was chosen, in words.
        background: share of background among all pixels of the masks.
        lost_classes: labelled classes, counted per image, of which the image's mask has no pixel.
        moved: where masks of other settings were moved, if so.
    """

    folder: Path
    images: int
    made: int
    kept: int
    threshold: float
    threshold_chosen: str
    how: str
    background: float
    lost_classes: int
    moved: Path | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it JSON-ready."""
        return asdict(self) | {"folder": str(self.folder), "moved": str(self.moved) if self.moved else None}


@dataclass(frozen=True)
class Threshold:
    """The background's score and where it comes from ("given" or "label-free")."""

    value: float
    chosen: str
    how: str

    def notes(self) -> dict[str, float | str]:
        """Return what the manifest keeps of it, `label_free_threshold` only if chosen so."""
        notes: dict[str, float | str] = {
            "threshold": self.value,
            "threshold_chosen": self.chosen,
            "how": self.how,
        }
        return notes | ({"label_free_threshold": self.value} if self.chosen == "label-free" else {})


def run(resolved: Resolved[MakeMasksSettings], run: Run, reporter: Reporter) -> MakeMasksResult:
    """Make the pseudo masks of a split from its seeds.

    Masks that are there already, made with the same settings from the same seeds, are kept.

    Raises:
        UsageError: the threshold is neither "auto" nor in [0, 1], or the dense CRF is not installed.
        RunError: the seeds are missing, or the folder holds masks of other settings.
        DataError: the data set, an image or a seed cannot be used.
    """
    given = parse_threshold(resolved.settings.threshold)
    suffix = variant_suffix(run, resolved.settings.method)
    settings = _normalised(resolved.settings, run, given)
    if settings.refine != "none":
        check_backend(settings.crf)
    walks = settings.refine.startswith("irn")
    if walks:
        _check_irn(settings)
    name = STAGE + suffix
    inputs = {"make-seeds" + suffix: require_variant(run, "make-seeds", suffix).fingerprint}
    images = open_dataset(settings, settings.split)
    require_classes(run, "train-cls", images.classes, images.root)
    seeds = run.path / f"seeds{suffix}"
    _require_seeds(images, seeds, command(run, "make-seeds", suffix))
    threshold = cut = _choose(given, images, seeds, reporter) if walks or given is not None else None
    if walks and threshold is not None:
        spread = _irn(
            Resolved(settings, resolved.sources), run, reporter, images, seeds, suffix, threshold.value, inputs
        )
        seeds, inputs = spread.walked, spread.inputs
        cut = _choose_after_walk(settings, images, spread, threshold.value, reporter)
        inputs = inputs | {"walk_threshold": f"{cut.value:.4f}"}
    recorded: Any = settings if walks else part_of(CutSettings, settings)
    matters = part_of(CutSettings, settings)
    folder = ItemFolder.open(
        run.path / f"masks{suffix}",
        stage_fingerprint(name, matters, inputs),
        result_settings(matters, inputs),
        settings.overwrite,
        "masks",
        suffix=".png",
    )
    with run.stage(name, Resolved(recorded, resolved.sources), inputs=inputs) as entry:
        moved = folder.begin()
        if moved is not None:
            reporter.info(f"Moved the masks of other settings to {moved}")
        if threshold is None or cut is None:
            threshold = cut = _choose(given, images, seeds, reporter)
        entry.notes |= threshold.notes()
        if walks:
            entry.notes |= {"walk_threshold": cut.value, "walk_threshold_chosen": cut.chosen, "walk_how": cut.how}
        how = refinement_of(settings) if settings.refine in ("crf", "irn+crf") else None
        job = MaskJob(seeds, folder.path, cut.value, how, settings.max_pixels)
        summary = _refine_all(job, images, folder, settings.workers, reporter)
        entry.metrics |= summary.as_dict()
        entry.outputs["masks"] = run.output_of_folder(folder.path, "*.png")
    return _result(folder, len(images), summary, threshold, moved)


def _check_irn(settings: MakeMasksSettings) -> None:
    """Refuse what a part of IRN would refuse, before the first of them takes its time.

    Raises:
        UsageError: a value is outside its range, or the device is absent.
        DataError: the weights given are not of a boundary network.
    """
    from recam_cli.core.affinity.spread import check_floor
    from recam_cli.core.hardware import choose_device
    from recam_cli.core.models.boundary_files import load_boundary
    from recam_cli.core.training.boundary_training import boundary_augmentation

    device = choose_device(settings.device)
    boundary_augmentation(settings)
    check_floor(parse_threshold(settings.walk_floor, "--walk-floor") or 0.0)
    parse_threshold(settings.walk_threshold, "--walk-threshold")
    if settings.irn_weights is not None:
        load_boundary(settings.irn_weights, device)


@dataclass(frozen=True)
class _Spread:
    """Seeds before and after the walk, and what the masks made from them depend on."""

    seeds: Path
    walked: Path
    inputs: dict[str, str]


def _irn(
    resolved: Resolved[MakeMasksSettings],
    run: Run,
    reporter: Reporter,
    images: ImageSet,
    seeds: Path,
    suffix: str,
    threshold: float,
    inputs: dict[str, str],
) -> _Spread:
    """Confident labels, boundary network, random walk; each part kept where it was made with the same settings."""
    from recam_cli.core.models.boundary_files import load_boundary
    from recam_cli.stages import confident_labels, random_walk, train_irn

    settings = resolved.settings
    workers = _workers(settings.workers, len(images))
    if settings.irn_weights is not None:
        from recam_cli.core.hardware import choose_device

        net = load_boundary(settings.irn_weights, choose_device(settings.device))
        network = {"irn": sha256_of(settings.irn_weights)}
    else:
        labels = confident_labels.run(
            resolved,
            run,
            reporter,
            images=images,
            seeds=seeds,
            suffix=suffix,
            threshold=threshold,
            inputs=inputs,
            workers=workers,
        )
        net, digest = train_irn.run(
            resolved,
            run,
            reporter,
            images=images,
            labels=labels,
            suffix=suffix,
            method=settings.method,
            workers=workers,
        )
        network = {"irn": digest}
    floor = parse_threshold(settings.walk_floor, "--walk-floor")
    if floor is None:
        floor = ConfidentThresholds.around(threshold, high=settings.confident_fg, low=settings.confident_bg).low
    walked = random_walk.run(
        resolved,
        run,
        reporter,
        images=images,
        seeds=seeds,
        net=net,
        suffix=suffix,
        floor=floor,
        inputs=inputs | network,
        workers=workers,
    )
    stage = random_walk.STAGE + suffix
    return _Spread(seeds, walked, inputs | {stage: run.require(stage).fingerprint})


def parse_threshold(text: str, option: str = "--threshold") -> float | None:
    """Return the number in [0, 1], or None for "auto"; `option` is named in errors.

    Raises:
        UsageError: it is neither.
    """
    if text.strip().lower() == AUTO:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise UsageError(f"{option}: {text!r} is neither {AUTO} nor a number from 0 to 1")
    return value


def _normalised(settings: MakeMasksSettings, run: Run, given: float | None) -> MakeMasksSettings:
    """Spell equal wishes equally, so that a repeated command finds its own masks."""
    return replace(
        settings,
        method=resolve_method(run, settings.method),
        threshold=AUTO if given is None else str(given),
        crf=resolve_backend(settings.crf),
    )


def _require_seeds(images: ImageSet, seeds: Path, remedy: str) -> None:
    for sample in images:
        if not (seeds / f"{sample.id}.npz").is_file():
            raise RunError(f"{seeds}: no seed of image {sample.id} of split {images.split}", remedy=f"Run: {remedy}")


def _choose(given: float | None, images: ImageSet, seeds: Path, reporter: Reporter) -> Threshold:
    if given is not None:
        return Threshold(given, "given", "given as --threshold")
    from recam_cli.core.masks.threshold import choose_threshold

    with reporter.track("Choosing the threshold", len(images)) as progress:
        choice = choose_threshold(_seeds_of(images, seeds, progress))
    reporter.info(f"Threshold {choice.value:.3f}: {choice.how}")
    return Threshold(float(choice.value), "label-free", choice.how)


def _choose_after_walk(
    settings: MakeMasksSettings, images: ImageSet, spread: _Spread, threshold: float, reporter: Reporter
) -> Threshold:
    given = parse_threshold(settings.walk_threshold, "--walk-threshold")
    if given is not None:
        return Threshold(given, "given", "given as --walk-threshold")
    from recam_cli.core.masks.threshold import keep_share, share_above

    with reporter.track("Choosing the threshold after the walk", 2 * len(images)) as progress:
        share = share_above(_seeds_of(images, spread.seeds, progress), threshold)
        choice = keep_share(_seeds_of(images, spread.walked, progress), share)
    reporter.info(f"Threshold after the walk {choice.value:.3f}: {choice.how}")
    return Threshold(float(choice.value), "label-free", choice.how)


def _seeds_of(images: ImageSet, seeds: Path, progress: Progress) -> Iterator[Seed]:
    for sample in images:
        yield read_seed(seeds / f"{sample.id}.npz")
        progress.advance()


def _refine_all(job: MaskJob, images: ImageSet, folder: ItemFolder, workers: int | None, reporter: Reporter) -> Summary:
    kept = [sample for sample in images if folder.done(sample.id)]
    there = {sample.id for sample in kept}
    todo = [sample for sample in images if sample.id not in there]
    summary = Summary()
    with reporter.track("Refining masks" if job.how else "Cutting masks", len(images)) as progress:
        for sample in kept:
            summary.keep(job.tally_of_kept(sample))
            progress.advance()

        def receive(_: Sample, tally: MaskTally) -> None:
            summary.make(tally)
            progress.advance(background=summary.background)

        run_over(job, todo, receive, workers=_workers(workers, len(todo)), name_of=lambda sample: sample.id)
    return summary


def _result(
    folder: ItemFolder, images: int, summary: Summary, threshold: Threshold, moved: Path | None
) -> MakeMasksResult:
    return MakeMasksResult(
        folder=folder.path,
        images=images,
        made=summary.made,
        kept=summary.kept,
        threshold=threshold.value,
        threshold_chosen=threshold.chosen,
        how=threshold.how,
        background=summary.background,
        lost_classes=summary.lost_classes,
        moved=moved,
    )


def _workers(wanted: int | None, items: int) -> int:
    if wanted is None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        wanted = min(cores, 256)
    return min(wanted, items)
