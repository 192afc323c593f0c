"""Part of make-masks: confident labels of every image, which teach the boundary network."""

from __future__ import annotations

from pathlib import Path

from recam_cli.core.data.samples import ImageSet, Sample
from recam_cli.core.masks.confident import ConfidentJob, ConfidentThresholds, LabelTally
from recam_cli.core.masks.pool import run_over
from recam_cli.core.masks.refine import Refinement
from recam_cli.core.reporter import Reporter
from recam_cli.core.runs.items import ItemFolder
from recam_cli.core.runs.run import Run, result_settings, stage_fingerprint
from recam_cli.core.settings.declare import part_of
from recam_cli.core.settings.make_masks import ConfidentLabelsSettings, MakeMasksSettings
from recam_cli.core.settings.resolve import Resolved

STAGE = "confident-labels"


def run(
    resolved: Resolved[MakeMasksSettings],
    run: Run,
    reporter: Reporter,
    *,
    images: ImageSet,
    seeds: Path,
    suffix: str,
    threshold: float,
    inputs: dict[str, str],
    workers: int,
) -> Path:
    """Make the confident labels of a split; those there already, of the same settings, are kept.

    Args:
        resolved: the settings of make-masks.
        run: the run.
        reporter: receives progress.
        images: the split.
        seeds: folder of its seeds.
        suffix: of the variant's stages and folders.
        threshold: the seeds'.
        inputs: the seeds' fingerprint, by name.
        workers: processes.

    Returns:
        The folder of `<id>.png`.

    Raises:
        UsageError: thresholds that contradict each other, or a dense CRF that is not installed.
        DataError: an image or a seed cannot be used.
    """
    settings = part_of(ConfidentLabelsSettings, resolved.settings)
    thresholds = ConfidentThresholds.around(threshold, high=settings.confident_fg, low=settings.confident_bg)
    inputs = inputs | {"high": f"{thresholds.high:.4f}", "low": f"{thresholds.low:.4f}"}
    name = STAGE + suffix
    folder = ItemFolder.open(
        run.path / f"confident{suffix}",
        stage_fingerprint(name, settings, inputs),
        result_settings(settings, inputs),
        True,  # an intermediate result: other settings of make-masks ask for others, and the old ones are kept
        "confident labels",
        suffix=".png",
    )
    job = ConfidentJob(seeds, folder.path, thresholds, Refinement(backend=settings.crf), resolved.settings.max_pixels)
    with run.stage(name, Resolved(settings, resolved.sources), inputs=inputs) as entry:
        folder.begin()
        undecided = _make_all(job, images, folder, workers, reporter)
        entry.metrics |= {"images": len(images), "undecided": round(undecided, 6)}
        entry.notes |= {"high": thresholds.high, "low": thresholds.low}
        entry.outputs["labels"] = run.output_of_folder(folder.path, "*.png")
    reporter.info(
        f"Confident labels: object from {thresholds.high:.3f}, background up to {thresholds.low:.3f}, "
        f"{100 * undecided:.1f} % undecided"
    )
    return folder.path


def _make_all(job: ConfidentJob, images: ImageSet, folder: ItemFolder, workers: int, reporter: Reporter) -> float:
    """Return the share of undecided pixels."""
    kept = [sample for sample in images if folder.done(sample.id)]
    there = {sample.id for sample in kept}
    todo = [sample for sample in images if sample.id not in there]
    pixels = undecided = 0
    with reporter.track("Confident labels", len(images)) as progress:

        def receive(_: Sample, tally: LabelTally) -> None:
            nonlocal pixels, undecided
            pixels += tally.pixels
            undecided += tally.undecided
            progress.advance(undecided=undecided / max(1, pixels))

        for sample in kept:
            receive(sample, job.tally_of_kept(sample))
        run_over(job, todo, receive, workers=min(workers, len(todo)), name_of=lambda sample: sample.id)
    return undecided / max(1, pixels)
