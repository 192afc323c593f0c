"""Part of make-masks: confident labels of every image, which teach the boundary network."""

from __future__ import annotations

from pathlib import Path

from recam_cli.core.data.samples import Sample
from recam_cli.core.masks.confident import ConfidentJob, ConfidentThresholds, LabelTally
from recam_cli.core.masks.pool import run_over
from recam_cli.core.masks.refine import Refinement
from recam_cli.core.runs.items import ItemFolder
from recam_cli.core.runs.run import result_settings, stage_fingerprint
from recam_cli.core.settings.declare import part_of
from recam_cli.core.settings.make_masks import ConfidentLabelsSettings
from recam_cli.core.settings.resolve import Resolved
from recam_cli.stages.mask_work import MaskWork

STAGE = "confident-labels"
OBJECTS = "objects"
"""Metric: the share of objects, an undecided pixel counting as half of one."""


def run(work: MaskWork, *, threshold: float) -> Path:
    """Make the confident labels of a split; those there already, of the same settings, are kept.

    Args:
        work: the call of make-masks.
        threshold: the seeds'.

    Returns:
        The folder of `<id>.png`.

    Raises:
        UsageError: thresholds that contradict each other, or a dense CRF that is not installed.
        DataError: an image or a seed cannot be used.
    """
    run, resolved = work.run, work.resolved
    settings = part_of(ConfidentLabelsSettings, resolved.settings)
    thresholds = ConfidentThresholds.around(threshold, high=settings.confident_fg, low=settings.confident_bg)
    inputs = work.inputs | {"high": f"{thresholds.high:.4f}", "low": f"{thresholds.low:.4f}"}
    name = STAGE + work.suffix
    folder = ItemFolder.open(
        run.path / f"confident{work.suffix}",
        stage_fingerprint(name, settings, inputs),
        result_settings(settings, inputs),
        True,  # an intermediate result: other settings of make-masks ask for others, and the old ones are kept
        "confident labels",
        suffix=".png",
    )
    job = ConfidentJob(
        work.seeds,
        folder.path,
        thresholds,
        Refinement(backend=settings.crf, device=work.crf_device),
        resolved.settings.max_pixels,
    )
    recorded = Resolved(settings, resolved.sources)
    with run.stage(name, recorded, inputs=inputs, device=work.crf_device) as entry:
        folder.begin()
        counted = _make_all(job, work, folder)
        undecided = counted.undecided / max(1, counted.pixels)
        objects = (counted.objects + counted.undecided / 2) / max(1, counted.pixels)
        entry.metrics |= {"images": len(work.images), "undecided": round(undecided, 6), OBJECTS: round(objects, 6)}
        entry.notes |= {"high": thresholds.high, "low": thresholds.low, "crf": f"{settings.crf} on {work.crf_device}"}
        entry.outputs["labels"] = run.output_of_folder(folder.path, "*.png")
    work.reporter.info(
        f"Confident labels: object from {thresholds.high:.3f}, background up to {thresholds.low:.3f}, "
        f"{100 * undecided:.1f} % undecided"
    )
    return folder.path


def _make_all(job: ConfidentJob, work: MaskWork, folder: ItemFolder) -> LabelTally:
    """Make those that are missing; return the sums over all images with a label."""
    kept = [sample for sample in work.images if folder.done(sample.id)]
    there = {sample.id for sample in kept}
    todo = [sample for sample in work.images if sample.id not in there]
    total = LabelTally(0, 0, 0)
    with work.reporter.track("Confident labels", len(work.images)) as progress:

        def receive(sample: Sample, tally: LabelTally) -> None:
            nonlocal total
            if sample.labels:
                total = total + tally
            progress.advance(undecided=total.undecided / max(1, total.pixels))

        for sample in kept:
            receive(sample, job.tally_of_kept(sample))
        run_over(job, todo, receive, workers=work.crf_workers(len(todo)), name_of=lambda sample: sample.id)
    return total
