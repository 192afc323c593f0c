"""make-seeds: multi-scale class maps of every image's labelled classes, as one `.npz` per image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from recam_cli.core.cams.fusion import class_maps, normalised_maps, sizes_seen
from recam_cli.core.cams.store import Seed, write_seed
from recam_cli.core.data.images import read_size
from recam_cli.core.data.reading import PhotoBatch, read_batches
from recam_cli.core.data.registry import open_dataset
from recam_cli.core.data.samples import ImageSet, Sample
from recam_cli.core.data.sizes import Size, work_size
from recam_cli.core.errors import RunError
from recam_cli.core.footprint import Looking
from recam_cli.core.hardware import choose_device, choose_precision, computed_with, prepare_process, under_autocast
from recam_cli.core.models.classifier_files import run_classifier
from recam_cli.core.reporter import Reporter
from recam_cli.core.runs.commits import Commits
from recam_cli.core.runs.files import fingerprint
from recam_cli.core.runs.items import ItemFolder
from recam_cli.core.runs.manifest import StageEntry
from recam_cli.core.runs.run import Run, result_settings, stage_fingerprint
from recam_cli.core.runs.stage_facts import ASKED_NOTE, CHOICE_NOTE, TOGETHER_NOTE
from recam_cli.core.runs.variants import resolve_method, variant_suffix
from recam_cli.core.settings.make_seeds import MakeSeedsSettings
from recam_cli.core.settings.resolve import Resolved
from recam_cli.stages.seed_choice import SeedChoice, choose, with_choice

STAGE = "make-seeds"
FOLDER = "seeds"


@dataclass(frozen=True)
class MakeSeedsResult:
    """What was made.

    Attributes:
        folder: where the seeds lie.
        images: number of images of the split, each with a seed now.
        made: seeds made by this call.
        kept: seeds of the same settings that were there before.
        method: "cam" or "recam".
        seed_weights: the weights the maps were read with.
        bytes_per_image: mean size of a seed file.
        moved: where seeds of other settings were moved, if so.
    """

    folder: Path
    images: int
    made: int
    kept: int
    method: str
    seed_weights: str
    bytes_per_image: int
    moved: Path | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it JSON-ready."""
        return vars(self) | {"folder": str(self.folder), "moved": str(self.moved) if self.moved else None}


def run(resolved: Resolved[MakeSeedsSettings], run: Run, reporter: Reporter) -> MakeSeedsResult:
    """Make the seeds of a split; those already there with the same settings and weights are kept.

    Raises:
        RunError: the classifier is missing or of other classes, or the folder holds seeds of other settings.
        DataError: the data set or an image cannot be used.
    """
    prepare_process(deterministic=resolved.settings.deterministic)
    suffix = variant_suffix(run, resolved.settings.method)
    images = open_dataset(resolved.settings, resolved.settings.split)
    choice = _choice(resolved, run, images, suffix, reporter)
    settings = with_choice(resolved.settings, choice)
    method, kind = settings.method, settings.seed_weights
    device = choose_device(settings.device)
    classifier, classes, digest = run_classifier(run, method, device)
    if images.classes != classes:
        raise RunError(
            f"{run.path}: its classifier knows {len(classes)} classes, not the {len(images.classes)} of {images.root}",
            remedy="Use the data set it was trained on, or train another run",
        )
    name = STAGE + suffix
    inputs = {"classifier": digest, "data": images.fingerprint()}
    folder = ItemFolder.open(
        run.path / f"{FOLDER}{suffix}",
        stage_fingerprint(name, settings, inputs),
        result_settings(settings, inputs),
        settings.overwrite,
        "seeds",
        suffix=".npz",
    )
    with run.stage(name, Resolved(settings, resolved.sources), inputs=inputs, device=str(device)) as entry:
        moved = folder.begin(reporter)
        made = _make_all(settings, images, folder, classifier.backbone, classifier.seed_weights(kind), reporter, entry)
        output = run.output_of_folder(folder.path, "*.npz")
        entry.outputs[FOLDER] = output
        size = output.bytes // max(1, output.count)
        entry.metrics |= {"images": len(images), "bytes_per_image": size}
        precision = choose_precision(settings.precision, device)
        entry.notes |= {"method": method, "seed_weights": kind, **computed_with(precision)}
        if choice.notes:
            entry.notes[CHOICE_NOTE] = choice.notes
    return MakeSeedsResult(folder.path, len(images), made, len(images) - made, method, kind, size, moved)


def _choice(
    resolved: Resolved[MakeSeedsSettings], run: Run, images: ImageSet, suffix: str, reporter: Reporter
) -> SeedChoice:
    """Return how the seeds are read: as asked for, and where that leaves a choice, as it was or is now chosen."""
    settings = resolved.settings
    method = resolve_method(run, settings.method)
    kinds = {"recam": "product", "cam": "fc1"}
    kind = kinds[method] if settings.seed_weights == "auto" else settings.seed_weights
    asked = SeedChoice(method, kind, settings.sides)
    if not settings.choose or not any(settings.sides):
        return asked
    both = run.require("train-cls").settings.get("method") == "auto" and settings.method == "run"
    methods = [("recam", kind), ("cam", "fc1")] if both and settings.seed_weights == "auto" else [(method, kind)]
    given = resolved.sources.get("sides") in ("flag", "file")
    wished = {"methods": methods, "sides": list(settings.sides), "given": given, "data": images.fingerprint()}
    of = fingerprint({**wished, "classifiers": [run.require("train-cls").outputs[m].sha256 for m, _ in methods]})
    made = run.entry(STAGE + suffix)
    noted = made.notes.get(CHOICE_NOTE, {}) if made is not None else {}
    if made is not None and noted.get("of") == of:
        return SeedChoice(made.notes["method"], made.notes["seed_weights"], tuple(made.settings["sides"]), noted)
    if suffix and (own := run.entry(STAGE)) is not None and not given:  # beside the run's own, at the same sizes
        return replace(asked, sides=tuple(own.settings.get("sides", settings.sides)))
    chosen = choose(settings, run, images, reporter, methods=methods, given=given)
    first = {"method": settings.method, "seed_weights": settings.seed_weights, "sides": list(settings.sides)}
    return replace(chosen, notes={**chosen.notes, "of": of, ASKED_NOTE: first})


def _make_all(
    settings: MakeSeedsSettings,
    images: ImageSet,
    folder: ItemFolder,
    backbone: torch.nn.Module,
    weight: torch.Tensor,
    reporter: Reporter,
    entry: StageEntry,
) -> int:
    features = under_autocast(backbone, weight.device, choose_precision(settings.precision, weight.device))
    todo = [sample for sample in images if not folder.done(sample.id)]
    looking = Looking.by(features, weight.device, settings.memory, STAGE, "use smaller --sides or --scales")
    together = looking.pixels(least=_largest(settings, todo))
    entry.notes[TOGETHER_NOTE] = {"pixels": together}
    with Commits() as commits, reporter.track("Making seeds", len(images)) as progress:
        progress.advance(len(images) - len(todo))
        read = read_batches(
            todo,
            settings.batch_size,
            max_pixels=settings.max_pixels,
            workers=settings.workers,
            longest=settings.longest,
            work_side=settings.work_side,
        )
        for batch in read:
            work = work_size(*batch.sizes[0], settings.work_side)
            maps = class_maps(
                features,
                weight,
                batch.images,
                scales=settings.scales,
                sides=settings.sides,
                flip=settings.flip,
                work=work,
                together=together,
            )
            _write(batch, maps, work, folder, commits)
            progress.advance(len(batch.samples))
    return len(todo)


def _largest(settings: MakeSeedsSettings, samples: Sequence[Sample]) -> int:
    """Return the pixels of the largest view that is to be seen."""
    largest = 0
    for sample in samples:
        size = work_size(*read_size(sample.image, max_pixels=settings.max_pixels), settings.longest)
        seen = sizes_seen(size, scales=settings.scales, sides=settings.sides)
        largest = max(largest, *(height * width for height, width in seen))
    return largest


def _write(batch: PhotoBatch, maps: torch.Tensor, work: Size, folder: ItemFolder, commits: Commits) -> None:
    for sample, size, found in zip(batch.samples, batch.sizes, maps, strict=True):
        classes = torch.tensor(sample.labels, dtype=torch.int64)
        chosen = normalised_maps(found, sample.labels).cpu()
        with commits.item():
            write_seed(folder.file(sample.id), Seed(classes.numpy(), chosen.numpy(), size, work))
