"""train-cls: the multi-label classifier and its re-activation; the phases are those of `classifier_phases`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from recam_cli.core.data.check import check_image_set, open_checked
from recam_cli.core.data.registry import data_root, fetch, open_dataset
from recam_cli.core.data.samples import ImageSet
from recam_cli.core.errors import DataError, UsageError
from recam_cli.core.hardware import choose_device, choose_precision, computed_with, on_device, prepare_process
from recam_cli.core.metrics.unlearned import LEARNED, unlearned_lines
from recam_cli.core.models.backbones import build_backbone, head_of
from recam_cli.core.models.classifier import Classifier
from recam_cli.core.models.classifier_files import FOLDER, describe_model
from recam_cli.core.models.weights import PretrainedWeights, find_weights
from recam_cli.core.reporter import Reporter
from recam_cli.core.runs.manifest import StageEntry
from recam_cli.core.runs.run import Run, result_settings
from recam_cli.core.runs.stage_facts import MEASURED_NOTE, TOGETHER_NOTE
from recam_cli.core.settings.resolve import Resolved
from recam_cli.core.settings.train_cls import TrainClsSettings
from recam_cli.core.training.best import BestEpoch
from recam_cli.core.training.snapshot_files import FOLDER as SNAPSHOTS
from recam_cli.core.training.snapshot_files import SnapshotFolder, require_snapshot
from recam_cli.core.training.snapshots import Snapshots, identity_of, seconds_of
from recam_cli.stages.classifier_phases import STAGE, Training, train_phases
from recam_cli.stages.resuming import require_begun


@dataclass(frozen=True)
class TrainClsResult:
    """What was trained.

    Attributes:
        run: the run directory.
        images: number of training images.
        losses: the last epoch's mean losses by name.
        average_precision: per class on the held-out split, in percent; None where no image has the class.
        mean_average_precision: their mean, in percent, or None without held-out images.
        val_images: number of held-out images.
        weights: where the backbone's initial weights came from.
        learned: by class, whether it was learned and how sure that is, as `metrics.learned.Learned`.
    """

    run: Path
    images: int
    losses: dict[str, float]
    average_precision: dict[str, float | None]
    mean_average_precision: float | None
    val_images: int
    weights: str
    learned: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return it JSON-ready."""
        return {
            "run": str(self.run),
            "images": self.images,
            "losses": self.losses,
            "map": self.mean_average_precision,
            "average_precision": self.average_precision,
            "val_images": self.val_images,
            "weights": self.weights,
            "learned": dict(self.learned),
        }


def run(
    resolved: Resolved[TrainClsSettings], path: Path | None, reporter: Reporter, *, preset: str = "auto"
) -> TrainClsResult:
    """Check the data, start a run at `path` (None: a dated one) and train.

    With `resume`, go on with the training that was interrupted at `path` (None: in the newest run) instead; it ends
    as if it had not been, to the bit on a CPU. Later stages of the run take over `preset`.

    Raises:
        UsageError: settings that contradict each other, an absent device, unknown weights.
        DataError: the data set or the weights cannot be used; nothing has been written then.
        RunError: `path` holds something already; with `resume`, nothing to go on from, damaged snapshots, or settings
            other than then.
        TrainingError: the loss became NaN or infinite.
    """
    settings = resolved.settings
    _check_settings(settings)
    prepare_process(deterministic=settings.deterministic)
    device = choose_device(settings.device)
    images, held_out = _open_sets(settings, reporter)
    settings = _settled(settings, images, reporter)
    weights = find_weights(settings.backbone, settings.weights, reporter=reporter)
    classifier = _build(settings, weights, len(images.classes), device)
    head = head_of(settings.backbone, weights.state)
    weights = replace(weights, state=None)  # a second network would stay in memory
    run = _open_run(settings, path)
    inputs = {"data": images.fingerprint(), "weights": weights.identity}
    measured_on = {"split": held_out.split, "data": held_out.fingerprint()} if held_out is not None else {}
    if settings.select != "last" and measured_on:  # elsewhere no weight depends on it
        inputs["held-out data"] = measured_on["data"]
    precision = choose_precision(settings.precision, device)
    identity = identity_of(result_settings(settings, inputs), device, precision)
    folder = SnapshotFolder(run.path / FOLDER / SNAPSHOTS)
    found = require_snapshot(folder, identity, reporter) if settings.resume else None
    if run.set_aside is not None:
        reporter.info(f"Kept what the unfinished training left in {run.set_aside}")
    reporter.info(f"Run {run.path}: {len(images)} images, {len(images.classes)} classes, weights: {weights.origin}")
    # The place, where it was found by itself, too: later stages look from another folder.
    begun = Resolved(replace(settings, resume=False, data_root=data_root(settings).absolute()), resolved.sources)
    with run.stage(STAGE, begun, inputs=inputs, device=str(device), seconds_before=seconds_of(found)) as entry:
        minutes = settings.snapshot_every
        snapshots = Snapshots(
            folder, identity, classifier, run=run, stage=STAGE, minutes=minutes, reporter=reporter, found=found
        )
        _carry_measured(snapshots, measured_on, reporter)
        entry.notes |= {
            MEASURED_NOTE: measured_on,
            "classes": list(images.classes),
            "weights": weights.origin,
            "preset": snapshots.carry("preset", preset),
            **describe_model(classifier),
            **computed_with(precision),
        }
        best = BestEpoch(folder, snapshots.carried, classifier, reporter)
        training = Training(
            settings, run, reporter, images, classifier, device, precision, snapshots, best, held_out, head
        )
        train_phases(training, entry)
        entry.notes[TOGETHER_NOTE] = snapshots.carry(TOGETHER_NOTE, {})
    folder.clear()
    for line in unlearned_lines(entry.metrics.get(LEARNED, {})):
        reporter.warn(line)
    return _result(training, entry, weights.origin)


def _carry_measured(snapshots: Snapshots, measured_on: dict[str, str], reporter: Reporter) -> None:
    """Keep which images are measured with the snapshots, and warn where they were others before."""
    if snapshots.carry(MEASURED_NOTE, measured_on) != measured_on:
        reporter.warn("the held-out images have changed since this training was begun; AP of before stays as it is")
        snapshots.carried[MEASURED_NOTE] = measured_on


def _result(training: Training, entry: StageEntry, weights: str) -> TrainClsResult:
    return TrainClsResult(
        run=training.run.path,
        images=len(training.images),
        losses=training.last_losses,
        average_precision=entry.metrics.get("average_precision", {}),
        mean_average_precision=entry.metrics.get("map"),
        val_images=len(training.held_out) if training.held_out is not None else 0,
        weights=weights,
        learned=entry.metrics.get(LEARNED, {}),
    )


def _settled(settings: TrainClsSettings, images: ImageSet, reporter: Reporter) -> TrainClsSettings:
    """Return the settings with plain CAM instead of ReCAM where there is one class, whose SCE is always 0."""
    if settings.method == "cam" or len(images.classes) > 1:
        return settings
    if settings.method == "recam":
        reporter.warn("one class: the softmax of ReCAM's SCE is always 1, so nothing is re-activated; plain CAM")
    return replace(settings, method="cam")


def _open_run(settings: TrainClsSettings, path: Path | None) -> Run:
    """Start a run, or open the one to go on with.

    Raises:
        RunError: `path` holds something already, or no interrupted training.
    """
    return require_begun(Run.open(path), STAGE) if settings.resume else Run.create(path)


def _check_settings(settings: TrainClsSettings) -> None:
    if len(settings.long_side) != 2 or settings.long_side[0] > settings.long_side[1]:
        raise UsageError("--long-side: give two numbers, smallest,largest")


def _open_sets(settings: TrainClsSettings, reporter: Reporter) -> tuple[ImageSet, ImageSet | None]:
    if settings.download:
        fetch(settings, reporter)
    images = open_checked(settings, settings.split, workers=settings.workers, reporter=reporter)
    held_out = None if settings.val_split == "none" else _open_held_out(settings, reporter)
    if settings.select == "best" and held_out is None:
        raise UsageError(
            f"--select best needs held-out images, but there are none in split {settings.val_split!r}",
            remedy="Choose another --val-split, or --select last",
        )
    return images, held_out


def _open_held_out(settings: TrainClsSettings, reporter: Reporter) -> ImageSet | None:
    """Return the held-out images, their files checked before hours of training, or None where there are none."""
    try:
        held_out = open_dataset(settings, settings.val_split)
    except DataError as error:
        reporter.warn(f"no held-out images, so no AP is reported: {error}")
        return None
    if not held_out.targets().any():
        reporter.warn(f"no image of split {settings.val_split!r} has a label, so no AP is reported")
        return None
    report = check_image_set(held_out, max_pixels=settings.max_pixels, workers=settings.workers, reporter=reporter)
    report.raise_on_errors()
    return held_out


def _build(
    settings: TrainClsSettings, weights: PretrainedWeights, num_classes: int, device: torch.device
) -> Classifier:
    generator = torch.Generator().manual_seed(settings.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        try:
            backbone = build_backbone(settings.backbone, stride=int(settings.stride), state=weights.state)
        except ValueError as error:
            raise DataError(f"{weights.origin}: {error}", remedy="Choose the fitting --backbone") from None
    if weights.state is not None:
        backbone.freeze_statistics()
        backbone.freeze_stem()
    classifier = Classifier(backbone, num_classes)
    classifier.reset_heads(generator)
    return on_device(classifier, device)
