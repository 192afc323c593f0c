"""train-cls: the multi-label classifier (phase 1, BCE) and its re-activation (phase 2, BCE + λ·SCE)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from recam_cli.core.cams.reactivation import reactivate, reactivation_loss
from recam_cli.core.data.check import check_image_set, open_checked
from recam_cli.core.data.registry import data_root, fetch, open_dataset
from recam_cli.core.data.samples import ImageSet
from recam_cli.core.data.transforms import Augmentation
from recam_cli.core.errors import DataError, UsageError
from recam_cli.core.hardware import choose_device, choose_precision, computed_with, prepare_process
from recam_cli.core.metrics.classification import average_precisions, mean_average_precision
from recam_cli.core.models.backbones import build_backbone
from recam_cli.core.models.classifier import Classifier
from recam_cli.core.models.classifier_files import FOLDER, classifier_path, describe_model, save_classifier
from recam_cli.core.models.scoring import score_images
from recam_cli.core.models.weights import PretrainedWeights, find_weights
from recam_cli.core.reporter import Reporter
from recam_cli.core.runs.manifest import StageEntry
from recam_cli.core.runs.run import Run, result_settings
from recam_cli.core.runs.stage_facts import MEASURED_NOTE
from recam_cli.core.settings.resolve import Resolved
from recam_cli.core.settings.train_cls import TrainClsSettings
from recam_cli.core.training.best import BestEpoch
from recam_cli.core.training.loader import Batch, TrainingImages
from recam_cli.core.training.loop import Loop, Losses, ParameterGroup, sgd
from recam_cli.core.training.schedule import poly, warmed_poly
from recam_cli.core.training.snapshot_files import FOLDER as SNAPSHOTS
from recam_cli.core.training.snapshot_files import SnapshotFolder, require_snapshot
from recam_cli.core.training.snapshots import Snapshots, identity_of, seconds_of
from recam_cli.stages.resuming import require_begun

STAGE = "train-cls"
_SCORING_BATCH = 8
_TITLES = {"cam": "CAM", "recam": "ReCAM"}


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
    """

    run: Path
    images: int
    losses: dict[str, float]
    average_precision: dict[str, float | None]
    mean_average_precision: float | None
    val_images: int
    weights: str

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
        }


@dataclass
class _Training:
    """What both phases work on."""

    settings: TrainClsSettings
    run: Run
    reporter: Reporter
    images: ImageSet
    classifier: Classifier
    device: torch.device
    precision: str
    snapshots: Snapshots
    best: BestEpoch
    held_out: ImageSet | None

    @property
    def last_losses(self) -> dict[str, float]:
        """The last epoch's mean losses by name."""
        kept: dict[str, float] = self.snapshots.carry("losses", {})
        return kept


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
    weights = find_weights(settings.backbone, settings.weights, reporter=reporter)
    classifier = _build(settings, weights, len(images.classes), device)
    run = _open_run(settings, path)
    inputs = {"data": images.fingerprint(), "weights": weights.identity}
    measured_on = {"split": held_out.split, "data": held_out.fingerprint()} if held_out is not None else {}
    if settings.select == "best":  # elsewhere no weight depends on it
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
        if snapshots.carry(MEASURED_NOTE, measured_on) != measured_on:
            reporter.warn("the held-out images have changed since this training was begun; AP of before stays as it is")
            snapshots.carried[MEASURED_NOTE] = measured_on
        entry.notes |= {
            MEASURED_NOTE: measured_on,
            "classes": list(images.classes),
            "weights": weights.origin,
            "preset": snapshots.carry("preset", preset),
            **describe_model(classifier),
            **computed_with(precision),
        }
        best = BestEpoch(folder, snapshots.carried, classifier, reporter)
        training = _Training(settings, run, reporter, images, classifier, device, precision, snapshots, best, held_out)
        _train_phases(training, entry)
    folder.clear()
    measured = entry.metrics.get("average_precision", {})
    return TrainClsResult(
        run=run.path,
        images=len(images),
        losses=training.last_losses,
        average_precision=measured,
        mean_average_precision=entry.metrics.get("map"),
        val_images=len(held_out) if held_out is not None else 0,
        weights=weights.origin,
    )


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
    classifier = classifier.to(device)
    return classifier if device.type == "mps" else classifier.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _train_phases(training: _Training, entry: StageEntry) -> None:
    settings, run, classes, carried = (
        training.settings,
        training.run,
        training.images.classes,
        training.snapshots.carried,
    )
    finished: list[str] = training.snapshots.carry("finished", [])
    entry.metrics |= training.snapshots.carry("metrics", {})
    for method in ("cam", "recam") if settings.method == "recam" else ("cam",):
        path = classifier_path(run, method)
        if method not in finished:
            if method == "cam":
                _train_cam(training)
            else:
                _train_recam(training)
            if (epoch := training.best.take(_TITLES[method])) is not None:
                entry.metrics[f"{method}_epoch"] = epoch
            save_classifier(path, training.classifier, classes)
            _unfinished(training).unlink(missing_ok=True)
            if training.held_out is not None:
                entry.metrics |= _measure(training, training.held_out, method)
            finished.append(method)
            carried["metrics"] = dict(entry.metrics)
        entry.outputs[method] = run.output_of_file(path)


def _unfinished(training: _Training) -> Path:
    """Return where the weights of the last finished epoch are kept until the phase is done."""
    return classifier_path(training.run, "unfinished")


def _train_cam(training: _Training) -> None:
    settings, classifier = training.settings, training.classifier
    groups = [
        ParameterGroup(classifier.backbone.parameters(), settings.lr, settings.weight_decay),
        ParameterGroup(classifier.fc1.parameters(), settings.lr_fc1, settings.weight_decay),
    ]

    def losses(batch: Batch) -> Losses:
        features = classifier.backbone(batch.images)
        return Losses(bce := _bce(classifier, features, batch, settings.bce_trains), {"bce": bce})

    def schedule(step: int, total: int) -> float:
        return warmed_poly(step, total, round(settings.warm_up * total))

    epochs, size = settings.epochs, settings.batch_size
    _train(training, _TITLES["cam"], groups, losses, epochs, size, first_epoch=0, schedule=schedule)


def _train_recam(training: _Training) -> None:
    settings, classifier = training.settings, training.classifier
    groups = [
        ParameterGroup(classifier.backbone.parameters(), settings.recam_lr, settings.weight_decay),
        ParameterGroup(classifier.fc1.parameters(), settings.recam_lr_fc1, settings.weight_decay),
        ParameterGroup(classifier.fc2.parameters(), settings.recam_lr_fc2, settings.weight_decay),
    ]

    def losses(batch: Batch) -> Losses:
        features = classifier.backbone(batch.images)
        bce = _bce(classifier, features, batch, settings.bce_trains)
        with torch.autocast(features.device.type, enabled=False):
            chosen = reactivate(features, classifier.fc1.weight, batch.labels)
            sce = reactivation_loss(chosen, classifier.fc2.weight, len(batch.images), settings.loss)
        return Losses(bce + settings.loss_weight * sce, {"bce": bce, settings.loss: sce})

    title, epochs, size = _TITLES["recam"], settings.recam_epochs, settings.recam_batch_size
    _train(training, title, groups, losses, epochs, size, first_epoch=settings.epochs)


def _bce(classifier: Classifier, features: torch.Tensor, batch: Batch, trains: str) -> torch.Tensor:
    pooled = features.float().mean(dim=(2, 3))
    with torch.autocast(features.device.type, enabled=False):
        logits = classifier.fc1(pooled if trains == "all" else pooled.detach())
        return F.multilabel_soft_margin_loss(logits, batch.labels)


def _train(
    training: _Training,
    title: str,
    groups: list[ParameterGroup],
    losses: Callable[[Batch], Losses],
    epochs: int,
    batch_size: int,
    *,
    first_epoch: int,
    schedule: Callable[[int, int], float] = poly,
) -> None:
    settings = training.settings
    augmentation = Augmentation(
        crop=settings.crop, long_side=(settings.long_side[0], settings.long_side[1]), jitter=settings.jitter
    )
    images = training.images
    longest = max(settings.work_side, settings.long_side[1]) if settings.work_side else 0
    data = TrainingImages(
        images.samples, images.targets(), augmentation, settings.seed, settings.max_pixels, longest=longest
    )

    def after_epoch(epoch: int) -> dict[str, Any]:
        save_classifier(_unfinished(training), training.classifier, images.classes)
        if settings.select == "last" or training.held_out is None:
            return {}
        targets, scores = _score(training, training.held_out)
        score = _percent(mean_average_precision(scores, targets))
        training.classifier.train()
        training.best.offer(title, epoch, score)
        return {"epoch_map": score}

    training.classifier.train()
    means = Loop(
        title=title,
        data=data,
        epochs=epochs,
        batch_size=min(batch_size, len(images)),
        optimiser=sgd(groups, settings.momentum),
        schedule=schedule,
        device=training.device,
        precision=training.precision,
        workers=settings.workers,
        reporter=training.reporter,
        log=partial(training.run.log, stage=STAGE),
        first_epoch=first_epoch,
        snapshots=training.snapshots,
    ).run(losses, after_epoch)
    training.last_losses.update({name: value for name, value in means.items() if name != "loss"})


def _measure(training: _Training, held_out: ImageSet, method: str) -> dict[str, Any]:
    """Return AP per class and mAP in percent; the last phase's stand under the plain names."""
    targets, scores = _score(training, held_out)
    percent = [_percent(value) for value in average_precisions(scores, targets)]
    whole = _percent(mean_average_precision(scores, targets))
    training.run.log(stage=STAGE, phase=_TITLES[method], val_map=whole)
    named = dict(zip(held_out.classes, percent, strict=True))
    return {"map": whole, "average_precision": named, f"{method}_map": whole}


def _score(training: _Training, held_out: ImageSet) -> tuple[np.ndarray, np.ndarray]:
    """Return the held-out images' labels and the classifier's scores, as `score_images` does."""
    with training.reporter.track("AP on held-out images", len(held_out)) as progress:
        return score_images(
            training.classifier,
            held_out,
            progress,
            batch_size=_SCORING_BATCH,
            max_pixels=training.settings.max_pixels,
            workers=training.settings.workers,
            longest=training.settings.work_side,
        )


def _percent(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 2)
