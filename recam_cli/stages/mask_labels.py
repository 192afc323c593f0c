"""Part of make-masks: label maps of every image, whatever the rule, which teach a network: mostly confident labels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recam_cli.core.data.samples import Sample
from recam_cli.core.masks.label_job import LabelJob, LabelRule, LabelTally
from recam_cli.core.runs.items import ItemFolder
from recam_cli.core.settings.resolve import Resolved
from recam_cli.stages.mask_work import MaskWork


@dataclass(frozen=True)
class LabelTask:
    """What kind of labels.

    Attributes:
        stage: recorded as this.
        folder: of the run, without the variant's suffix.
        settings: all that they depend on besides seeds and `figures`.
        rule: makes those of one image, on the work's CRF device.
        figures: what follows from the seeds' threshold, recorded among the inputs.
        describe: the rule in words.
        title: the labels in words.
    """

    stage: str
    folder: str
    settings: Any
    rule: LabelRule
    figures: Mapping[str, float]
    describe: str
    title: str = "Confident labels"


@dataclass(frozen=True)
class Labels:
    """Confident labels of a split.

    Attributes:
        folder: of `<id>.png`.
        stage: recorded as this.
        fingerprint: of what they were made from.
        objects: the mean share of objects in images with a label, an undecided pixel counting as half of one.
    """

    folder: Path
    stage: str
    fingerprint: str
    objects: float


def run(work: MaskWork, task: LabelTask) -> Labels:
    """Make the confident labels of a split; those there already, of the same settings, are kept.

    Raises:
        UsageError: a dense CRF that is not installed.
        DataError: an image or a seed cannot be used.
    """
    run, settings = work.run, task.settings
    inputs = work.inputs | {name: f"{value:.4f}" for name, value in task.figures.items()}
    name = task.stage + work.suffix
    folder = work.part_folder(name, task.folder, settings, inputs, task.title.lower(), suffix=".png")
    done = work.finished(name, folder)
    if done is not None:
        work.reporter.info(f"{task.title}: kept {folder.path}")
        return Labels(folder.path, name, done.fingerprint, float(done.metrics["objects"]))
    job = LabelJob(work.seeds, folder.path, task.rule, work.settings.max_pixels, work.settings.work_side)
    recorded = Resolved(settings, work.resolved.sources)
    with run.stage(name, recorded, inputs=inputs, device=work.crf_device) as entry:
        folder.begin(work.reporter)
        undecided, objects = _make_all(job, work, folder, task.title)
        entry.metrics |= {"images": len(work.images), "undecided": undecided, "objects": objects}
        entry.notes |= {**task.figures, "crf": f"{work.settings.crf} on {work.crf_device}"}
        entry.outputs["labels"] = run.output_of_folder(folder.path, "*.png")
    work.reporter.info(f"{task.title}: {task.describe}, {100 * undecided:.1f} % undecided")
    return Labels(folder.path, name, run.require(name).fingerprint, objects)


def _make_all(job: LabelJob, work: MaskWork, folder: ItemFolder, title: str) -> tuple[float, float]:
    """Make those that are missing; return the mean shares of undecided pixels and of objects, over labelled images."""
    undecided: dict[str, float] = {}
    objects: dict[str, float] = {}

    def receive(sample: Sample, tally: LabelTally, made: bool) -> dict[str, float]:
        if sample.labels:
            undecided[sample.id] = tally.undecided / tally.pixels
            objects[sample.id] = (tally.objects + tally.undecided / 2) / tally.pixels
        return {"undecided": math.fsum(undecided.values()) / max(1, len(undecided))}

    work.over_images(job, folder, title, receive, crf=True)
    # Exact sums: the same whatever the order in which images were finished.
    count = max(1, len(objects))
    return round(math.fsum(undecided.values()) / count, 6), round(math.fsum(objects.values()) / count, 6)
