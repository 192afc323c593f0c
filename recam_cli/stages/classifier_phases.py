"""The phases of train-cls: the probe, CAM (BCE), re-activation (BCE + λ·SCE); each is measured on held-out images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from recam_cli.core.cams.reactivation import reactivate, reactivation_loss
from recam_cli.core.data.samples import ImageSet
from recam_cli.core.data.transforms import Augmentation
from recam_cli.core.footprint import Looking
from recam_cli.core.hardware import under_autocast
from recam_cli.core.metrics.classification import average_precisions, mean_average_precision
from recam_cli.core.metrics.learned import judge, standard_error
from recam_cli.core.metrics.unlearned import LEARNED
from recam_cli.core.models.classifier import Classifier
from recam_cli.core.models.classifier_files import classifier_path, save_classifier
from recam_cli.core.models.scoring import score_images
from recam_cli.core.reporter import Reporter, SilentReporter
from recam_cli.core.runs.manifest import StageEntry
from recam_cli.core.runs.run import Run
from recam_cli.core.settings.train_cls import TrainClsSettings
from recam_cli.core.training.best import BestEpoch
from recam_cli.core.training.loader import Batch, TrainingImages
from recam_cli.core.training.loop import Loop, Losses, ParameterGroup, adamw, sgd
from recam_cli.core.training.parts import Splitting, share_of
from recam_cli.core.training.pooled import Looks, pooled_views, reactivations
from recam_cli.core.training.prior import object_row
from recam_cli.core.training.probe import (
    REACTIVATED_RIDGE,
    RidgeChoice,
    Views,
    choose_ridge,
    fit_reactivated,
    fit_rows,
    fold_of,
)
from recam_cli.core.training.schedule import poly, warmed_poly
from recam_cli.core.training.snapshots import Snapshots

STAGE = "train-cls"
PROBE, CAM, RECAM = "probe", "cam", "recam"
_TITLES = {PROBE: "Probe", CAM: "CAM", RECAM: "ReCAM"}
_SCORING_BATCH = 8


@dataclass
class Training:
    """What all phases work on.

    Attributes:
        settings, run, reporter: of the call.
        images: to train on.
        classifier: on its device.
        device, precision: where and how it computes.
        snapshots: of the training.
        best: the epoch to keep.
        held_out: measured after each phase; None without any.
        head: (1000, C), the weights' ImageNet classifier, where they bring one.
    """

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
    head: torch.Tensor | None

    @property
    def last_losses(self) -> dict[str, float]:
        """The last epoch's mean losses by name."""
        kept: dict[str, float] = self.snapshots.carry("losses", {})
        return kept

    @cached_property
    def together(self) -> int:
        """Pixels that the classifier sees at once where nothing is learned."""
        backbone = under_autocast(self.classifier.backbone, self.device, self.precision)
        self.classifier.eval()
        return Looking.by(backbone, self.device, self.settings.memory, STAGE).pixels()

    @property
    def looks(self) -> Looks:
        """How the probe looks at photographs."""
        settings = self.settings
        return Looks(settings.probe_sides, self.precision, settings.max_pixels, settings.workers, self.together)

    @property
    def phases(self) -> tuple[str, ...]:
        """The phases, in order."""
        first = (PROBE,) if self.settings.start == PROBE else ()
        return (*first, CAM) if self.settings.method == CAM else (*first, CAM, RECAM)


def train_phases(training: Training, entry: StageEntry) -> None:
    """Train all phases that the settings ask for, and note figures and files in the stage's entry.

    Raises:
        TrainingError: a loss is not finite.
        RunError: a file cannot be written.
    """
    run, classes, carried = training.run, training.images.classes, training.snapshots.carried
    finished: list[str] = training.snapshots.carry("finished", [])
    entry.metrics |= training.snapshots.carry("metrics", {})
    for phase in training.phases:
        if phase not in finished:
            entry.metrics |= _PHASES[phase](training)
            if phase != PROBE:
                _take(training, phase, entry)
                save_classifier(classifier_path(run, phase), training.classifier, classes)
                _unfinished(training).unlink(missing_ok=True)
            if training.held_out is not None:
                entry.metrics |= _measure(training, training.held_out, phase)
            finished.append(phase)
            carried["metrics"] = dict(entry.metrics)
        if phase != PROBE:
            entry.outputs[phase] = run.output_of_file(classifier_path(run, phase))
    if LEARNED not in entry.metrics and training.held_out is not None:
        targets, scores = _score(training, training.held_out)
        entry.metrics[LEARNED] = {k: v.as_dict() for k, v in judge(scores, targets, classes).items()}


def _take(training: Training, phase: str, entry: StageEntry) -> None:
    """Give the classifier the weights of the epoch to keep, and say so where it is not the last."""
    epoch = training.best.take(_TITLES[phase])
    if epoch is None:
        return
    entry.metrics[f"{phase}_epoch"] = epoch
    if epoch == 0:
        training.reporter.info(f"{_TITLES[phase]}: worse on held-out images than what it began with, which stays")
    else:
        training.reporter.info(f"{_TITLES[phase]}: taking epoch {epoch}")


def _unfinished(training: Training) -> Path:
    """Return where the weights of the last finished epoch are kept until the phase is done."""
    return classifier_path(training.run, "unfinished")


def _probe(training: Training) -> dict[str, Any]:
    """Fit FC1 to the backbone's features; return the figures."""
    classifier, images = training.classifier, training.images
    with training.reporter.track("Probe: features", len(images)) as progress:
        views = pooled_views(classifier, images, training.looks, progress)
    alone = [k for k in range(len(images.classes)) if views.targets[:, k].all()]
    choice = choose_ridge(views, fold_of(views.targets, np.arange(len(images))))
    rows = fit_rows(views, choice.ridge)
    if alone:
        rows = _with_prior(training, rows, views, alone)
    with torch.no_grad():
        classifier.fc1.weight.copy_(rows)
    return _probe_figures(choice, views, images)


def _fit_fc2(training: Training) -> None:
    """Fit FC2 to what FC1's maps select of the features as they are now, once, before phase 2 begins."""
    done: list[str] = training.snapshots.carry("fitted", [])
    if done:  # what goes on has it from its snapshot
        return
    classifier, images = training.classifier, training.images
    with training.reporter.track("Re-activated features", len(images)) as progress:
        found = reactivations(classifier, images, training.looks, progress)
    fitted = fit_reactivated(found.features, found.classes, found.weights, len(images.classes), REACTIVATED_RIDGE)
    with torch.no_grad():
        classifier.fc2.weight.copy_(fitted)
    done.append("fc2")


def _with_prior(training: Training, rows: torch.Tensor, views: Views, alone: list[int]) -> torch.Tensor:
    """Return FC1's rows with those of classes that every photograph shows from what ImageNet's head sees in them."""
    names = ", ".join(training.images.classes[k] for k in alone)
    training.reporter.warn(
        f"every photograph shows {names}: nothing tells what it is, so its map is of whatever looks like an object; "
        "some photographs without it (in a folder background/, or with an empty label) would teach it"
    )
    row = object_row(views.features, training.head)
    return torch.stack([row if k in alone else rows[k] for k in range(len(rows))])


def _probe_figures(choice: RidgeChoice, views: Views, images: ImageSet) -> dict[str, Any]:
    learned = judge(choice.scores, views.targets, images.classes)
    whole = mean_average_precision(choice.scores, views.targets)
    return {
        "ridge": choice.ridge,
        "cross_validated_map": _percent(whole),
        LEARNED: {name: one.as_dict() for name, one in learned.items()},
    }


def _train_cam(training: Training) -> dict[str, Any]:
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

    epochs = settings.epochs_of(len(training.images), len(training.images.classes))[0]
    size = settings.batch_size
    _train(training, _TITLES[CAM], groups, losses, epochs, size, first_epoch=0, schedule=schedule)
    return {}


def _train_recam(training: Training) -> dict[str, Any]:
    settings, classifier = training.settings, training.classifier
    if settings.start == PROBE:
        _fit_fc2(training)
    groups = [
        ParameterGroup(classifier.backbone.parameters(), settings.recam_lr, settings.weight_decay),
        ParameterGroup(classifier.fc1.parameters(), settings.recam_lr_fc1, settings.weight_decay),
        ParameterGroup(classifier.fc2.parameters(), settings.recam_lr_fc2, settings.weight_decay),
    ]

    before, epochs = settings.epochs_of(len(training.images), len(training.images.classes))
    size = settings.recam_batch_size
    _train(training, _TITLES[RECAM], groups, recam_losses(training), epochs, size, first_epoch=before)
    return {}


def recam_losses(training: Training) -> Callable[[Batch], Losses]:
    """Return the losses of phase 2, of a batch or a part of one."""
    settings, classifier = training.settings, training.classifier

    def losses(batch: Batch) -> Losses:
        features = classifier.backbone(batch.images)
        bce = _bce(classifier, features, batch, settings.bce_trains)
        with torch.autocast(features.device.type, enabled=False):
            chosen = reactivate(features, classifier.fc1.weight, batch.labels)
            size, pairs = (len(batch.images), None) if batch.of is None else (int(batch.of[0]), batch.of[1])
            sce = reactivation_loss(chosen, classifier.fc2.weight, size, settings.loss, pairs)
        return Losses(bce + settings.loss_weight * sce, {"bce": bce, settings.loss: sce})

    return losses


_PHASES: dict[str, Callable[[Training], dict[str, Any]]] = {PROBE: _probe, CAM: _train_cam, RECAM: _train_recam}


def _bce(classifier: Classifier, features: torch.Tensor, batch: Batch, trains: str) -> torch.Tensor:
    pooled = features.float().mean(dim=(2, 3))
    with torch.autocast(features.device.type, enabled=False):
        logits = classifier.fc1(pooled if trains == "all" else pooled.detach())
        share = share_of(len(batch.images), batch.of[0] if batch.of is not None else None)
        return F.multilabel_soft_margin_loss(logits, batch.labels) * share


def counts(batch: Batch) -> torch.Tensor:
    """Return what the losses' means are taken over, (2,): photographs, and pairs of a photograph and its class."""
    return torch.stack([batch.labels.new_tensor(len(batch.images)), (batch.labels > 0).sum().to(batch.labels)])


def _train(
    training: Training,
    title: str,
    groups: list[ParameterGroup],
    losses: Callable[[Batch], Losses],
    epochs: int,
    batch_size: int,
    *,
    first_epoch: int,
    schedule: Callable[[int, int], float] = poly,
) -> None:
    settings, images = training.settings, training.images
    augmentation = Augmentation(
        crop=settings.crop, long_side=(settings.long_side[0], settings.long_side[1]), jitter=settings.jitter
    )
    longest = max(settings.work_side, settings.long_side[1]) if settings.work_side else 0
    data = TrainingImages(
        images.samples, images.targets(), augmentation, settings.seed, settings.max_pixels, longest=longest
    )

    def offer(epoch: int) -> float | None:
        if training.held_out is None:
            return None
        targets, scores = _score(training, training.held_out, quiet=True)
        score = _percent(mean_average_precision(scores, targets))
        error = round(100 * standard_error(scores, targets), 2) if settings.select == "safe" else None
        training.best.offer(title, epoch, score, error)
        return score

    def after_epoch(epoch: int) -> dict[str, Any]:
        save_classifier(_unfinished(training), training.classifier, images.classes)
        if settings.select == "last" or training.held_out is None:
            return {}
        score = offer(epoch)
        training.classifier.train()
        return {"epoch_map": score}

    if settings.select == "safe" and settings.start == PROBE and epochs and not training.best.offered(title):
        offer(0)
    training.classifier.train()
    means = Loop(
        title=title,
        data=data,
        epochs=epochs,
        batch_size=min(batch_size, len(images)),
        optimiser=sgd(groups, settings.momentum) if settings.optimiser == "sgd" else adamw(groups),
        schedule=schedule,
        device=training.device,
        precision=training.precision,
        workers=settings.workers,
        reporter=training.reporter,
        log=partial(training.run.log, stage=STAGE),
        first_epoch=first_epoch,
        snapshots=training.snapshots,
        splitting=Splitting(training.classifier, settings.memory, counts),
    ).run(losses, after_epoch)
    training.last_losses.update({name: value for name, value in means.items() if name != "loss"})


def _measure(training: Training, held_out: ImageSet, phase: str) -> dict[str, Any]:
    """Return AP per class and mAP in percent; the last phase's stand under the plain names."""
    targets, scores = _score(training, held_out)
    percent = [_percent(value) for value in average_precisions(scores, targets)]
    whole = _percent(mean_average_precision(scores, targets))
    if whole is not None:
        training.reporter.info(f"{_TITLES[phase]}: mAP {whole:.2f} % on {len(held_out)} held-out images")
    training.run.log(stage=STAGE, phase=_TITLES[phase], val_map=whole)
    named = dict(zip(held_out.classes, percent, strict=True))
    return {"map": whole, "average_precision": named, f"{phase}_map": whole}


def _score(training: Training, held_out: ImageSet, *, quiet: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Return the held-out images' labels and the classifier's scores, as `score_images` does."""
    settings, reporter = training.settings, SilentReporter() if quiet else training.reporter
    # Where sizes are in pixels, at the size that training shows; else whole, as published.
    longest = min(settings.work_side, settings.long_side[1]) if settings.work_side else 0
    with reporter.track("AP on held-out images", len(held_out)) as progress:
        return score_images(
            training.classifier,
            held_out,
            progress,
            batch_size=_SCORING_BATCH,
            max_pixels=settings.max_pixels,
            workers=settings.workers,
            longest=longest,
            together=training.together,
        )


def _percent(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 2)
