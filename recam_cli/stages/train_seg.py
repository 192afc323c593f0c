"""train-seg: train a segmentation network on pseudo masks (or the true ones), then predict the held-out split."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from recam_cli.core.data.images import write_mask
from recam_cli.core.data.reading import read_batches
from recam_cli.core.data.registry import open_dataset
from recam_cli.core.data.samples import ImageSet, Sample
from recam_cli.core.errors import DataError, RunError
from recam_cli.core.hardware import choose_device, choose_precision, computed_with, on_device, prepare_process
from recam_cli.core.masks.crf import check_backend
from recam_cli.core.memory import parts_of
from recam_cli.core.models.checkpoint import read_about, read_state
from recam_cli.core.models.segment_inference import Predicting, predict_masks
from recam_cli.core.models.segmenter_files import FOLDER, load_segmenter, save_segmenter
from recam_cli.core.models.segmenter_start import Start, find_start, resolve_backbone, start_backbone
from recam_cli.core.models.segmenters import build_segmenter
from recam_cli.core.reporter import Reporter
from recam_cli.core.runs.classes import require_classes
from recam_cli.core.runs.commits import Commits
from recam_cli.core.runs.files import fingerprint, sha256_of
from recam_cli.core.runs.items import ItemFolder
from recam_cli.core.runs.manifest import StageEntry
from recam_cli.core.runs.run import Run, result_settings
from recam_cli.core.runs.stage_facts import MEASURED_NOTE, SCORABLE_NOTE
from recam_cli.core.runs.variants import command, resolve_method, trained_method
from recam_cli.core.settings.resolve import Resolved
from recam_cli.core.settings.train_seg import PREDICTION_SETTINGS, TrainSegSettings
from recam_cli.core.training.loader import TrainingImages
from recam_cli.core.training.segmenter_training import augmentation_of, check_schedule, train_segmenter
from recam_cli.core.training.snapshot_files import FOLDER as SNAPSHOTS
from recam_cli.core.training.snapshot_files import Snapshot, SnapshotFolder, require_snapshot
from recam_cli.core.training.snapshots import Snapshots, identity_of, seconds_of
from recam_cli.stages import seg_images
from recam_cli.stages.resuming import require_begun

STAGE = "train-seg"
PREDICTIONS = "predictions"
UNFINISHED = "unfinished"
_PREDICTED = "predicted data"
STAGES = (STAGE, f"{STAGE}-cam", f"{STAGE}{seg_images.TRUTH}")
"""As the manifest names it: on the run's masks, on those of its plain CAM, on true masks."""


@dataclass(frozen=True)
class TrainSegResult:
    """What was trained and predicted.

    Attributes:
        weights: the segmenter's file.
        images: number of training images.
        trained: whether this call trained it; False where a segmenter of the same settings was there.
        loss: mean loss of the last epoch.
        init: where the backbone's initial weights came from.
        predictions: folder of the predicted masks, or None without a split to predict.
        predicted: masks predicted by this call.
        kept: predictions that were there before.
        moved: where a segmenter of other settings was moved, if so.
    """

    weights: Path
    images: int
    trained: bool
    loss: float
    init: str
    predictions: Path | None
    predicted: int
    kept: int
    moved: Path | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it JSON-ready."""
        paths = {name: getattr(self, name) for name in ("weights", "predictions", "moved")}
        return vars(self) | {name: str(path) if path else None for name, path in paths.items()}


@dataclass(frozen=True)
class _Job:
    """One call of the stage: what it works on, settled and checked before anything is written."""

    settings: TrainSegSettings
    run: Run
    reporter: Reporter
    name: str
    images: ImageSet
    held_out: ImageSet | None
    inputs: dict[str, str]
    method: str
    device: torch.device
    start: Start
    weights: ItemFolder
    predictions: ItemFolder | None
    precision: str
    identity: dict[str, Any]
    found: Snapshot | None
    damage: str | None

    @property
    def snapshots(self) -> SnapshotFolder:
        """Where the training is kept until it is done."""
        return SnapshotFolder(self.weights.path / SNAPSHOTS)

    @property
    def held_out_hash(self) -> str | None:
        """Hash of the images to predict."""
        return self.predictions.settings[_PREDICTED] if self.predictions is not None else None

    @property
    def unfinished(self) -> Path:
        """Where the weights of the last finished epoch are kept until the training is done."""
        return self.path.parent / UNFINISHED / self.path.name

    @property
    def path(self) -> Path:
        """The segmenter's file."""
        return self.weights.file(self.settings.network)


def run(resolved: Resolved[TrainSegSettings], run: Run, reporter: Reporter) -> TrainSegResult:
    """Train the segmenter and predict the held-out split.

    A segmenter of the same settings that is there already is kept, and so are its predictions. Pseudo masks train
    `segmenter/`, those of plain CAM in a ReCAM run `segmenter-cam/`, true masks `segmenter-truth/`; predictions lie
    in `predictions…/<split>/` alike. With `resume`, go on with the training that was interrupted; it ends as if it had
    not been, to the bit on a CPU.

    Raises:
        UsageError: settings that contradict each other, an absent device, unknown weights.
        RunError: the masks are missing, or the folders hold work of other settings; with `resume`, there is nothing to
            go on from, or the snapshots are damaged.
        DataError: the data set, a mask or the weights cannot be used.
        TrainingError: the loss became NaN; the last finished epoch's weights are in `segmenter…/unfinished/`.
    """
    prepare_process(deterministic=resolved.settings.deterministic)
    job = _prepare(resolved.settings, run, reporter)
    settled = Resolved(replace(job.settings, resume=False), resolved.sources)
    before = (seconds_of(job.found) or 0.0) if job.settings.resume else None
    with run.stage(job.name, settled, inputs=job.inputs, device=str(job.device), seconds_before=before) as entry:
        moved = job.weights.begin(reporter)
        if job.damage is not None:
            reporter.warn(f"{job.path} {job.damage}: it is kept in {job.weights.set_aside(job.settings.network)}")
        trained = not job.weights.done(job.settings.network)
        if trained:
            _train(job)
        else:
            reporter.info(f"Kept {job.path}: it was trained with these settings")
        job.unfinished.unlink(missing_ok=True)
        about = read_about(job.path)
        entry.outputs[FOLDER] = run.output_of_file(job.path)
        entry.metrics |= {name: about[name] for name in ("loss", "epochs", "images", "parameters")}
        entry.notes |= {"init": about["init"], "classes": list(job.images.classes), **computed_with(job.precision)}
        if job.held_out is not None:
            entry.notes[MEASURED_NOTE] = {"split": job.held_out.split, "data": job.held_out_hash}
            entry.notes[SCORABLE_NOTE] = all(sample.mask is not None for sample in job.held_out)
        predicted, kept = _predict(job, entry, anew=trained)
    job.snapshots.clear()
    folder = job.predictions.path if job.predictions is not None else None
    loss, init = float(about["loss"]), str(about["init"])
    return TrainSegResult(job.path, len(job.images), trained, loss, init, folder, predicted, kept, moved)


def _prepare(settings: TrainSegSettings, run: Run, reporter: Reporter) -> _Job:
    if settings.crf:
        check_backend()
    device = choose_device(settings.device)
    suffix, masks, inputs = seg_images.source_of_masks(settings, run)
    changed = run.outdated("make-masks" + suffix) if masks is not None else None
    if changed is not None:
        again = command(run, "make-masks", suffix, overwrite=True)
        reporter.warn(f"{masks} was made before {changed} was done anew; to make it again, run: {again}")
    method = _method(settings, run)
    settings = replace(
        settings,
        backbone=resolve_backbone(run, settings.backbone),
        method=method,  # type: ignore[arg-type]
        label_file=settings.label_file or seg_images.label_file(settings, run),
    )
    images = open_dataset(settings.data, settings.split)
    if masks is not None:
        require_classes(run, "train-cls", images.classes, images.root)
    images = images.with_masks() if masks is None else seg_images.with_pseudo_masks(images, masks, run, suffix)
    seg_images.check_sizes(images, settings.max_pixels)
    check_schedule(settings, len(images))
    held_out = seg_images.held_out(settings, reporter)
    name = STAGE + suffix
    start = find_start(run, str(settings.backbone), settings.init, method)
    inputs |= {"data": images.fingerprint(), "masks": images.mask_fingerprint(), "weights": start.identity}
    matter = _matter(settings, inputs)
    for_weights = {k: v for k, v in matter.items() if k not in PREDICTION_SETTINGS}
    weights = ItemFolder.open(
        run.path / f"{FOLDER}{suffix}",
        fingerprint({"stage": name, "settings": for_weights}),
        for_weights,
        settings.overwrite,
        "a segmenter",
        suffix=".safetensors",
    )
    predictions = None
    if held_out is not None:
        matter[_PREDICTED] = held_out.fingerprint()
        predictions = ItemFolder.open(
            run.path / f"{PREDICTIONS}{suffix}" / held_out.split,
            fingerprint({"stage": name, "predictions": matter}),
            matter,
            settings.overwrite,
            "predictions",
            suffix=".png",
        )
    precision = choose_precision(settings.precision, device)
    identity = identity_of(for_weights, device, precision)
    found = _found(settings, run, name, weights, identity, reporter) if settings.resume else None
    return _Job(
        settings,
        run,
        reporter,
        name,
        images,
        held_out,
        inputs,
        method,
        device,
        start,
        weights,
        predictions,
        precision,
        identity,
        found,
        _damage_of(settings, run, name, weights),
    )


def _damage_of(settings: TrainSegSettings, run: Run, name: str, weights: ItemFolder) -> str | None:
    """Return in words what is wrong with a segmenter of these settings that is there; None where nothing is.

    Raises:
        RunError: something is, and --overwrite is off.
    """
    path, entry = weights.file(settings.network), run.entry(name)
    if not weights.done(settings.network) or weights.holds_others:
        return None
    noted = entry.outputs.get(FOLDER) if entry is not None else None
    if noted is not None and run.path / noted.path == path and noted.sha256 != sha256_of(path):
        damage = f"has changed since {name} wrote it"
    else:
        try:
            read_state(path)
            return None
        except DataError as error:
            damage = error.message.removeprefix(f"{path}: ")
    if not settings.overwrite:
        raise RunError(
            f"{path} {damage}", remedy="Restore it, or add --overwrite, which keeps it aside and trains another one"
        )
    return damage


def _found(
    settings: TrainSegSettings,
    run: Run,
    name: str,
    weights: ItemFolder,
    identity: dict[str, Any],
    reporter: Reporter,
) -> Snapshot | None:
    """Return what the training goes on from; None where it was done, so that only predictions are left to make.

    Raises:
        RunError: there is nothing to resume, no snapshot is whole, or the settings were others.
    """
    require_begun(run, name)
    folder = SnapshotFolder(weights.path / SNAPSHOTS)
    return None if weights.done(settings.network) else require_snapshot(folder, identity, reporter)


def _method(settings: TrainSegSettings, run: Run) -> str:
    """Return the method whose masks train and whose classifier `--init classifier` means."""
    if settings.labels == "masks":
        return resolve_method(run, settings.method)
    return trained_method(run) if run.entry("train-cls") is not None else "run"


def _matter(settings: TrainSegSettings, inputs: dict[str, str]) -> dict[str, Any]:
    """Return what the stage's files depend on; what the label file says comes in through the input "data"."""
    return {k: v for k, v in result_settings(settings, inputs).items() if k != "label_file"}


def _train(job: _Job) -> None:
    settings, images, run = job.settings, job.images, job.run
    aside = job.snapshots.set_aside() if job.found is None else None
    if aside is not None:
        job.reporter.info(f"Kept the snapshots of an unfinished training in {aside}")
    start = job.start
    backbone = start_backbone(start, int(settings.stride), settings.seed)
    generator = torch.Generator().manual_seed(settings.seed)
    segmenter = build_segmenter(
        settings.network, backbone, len(images.classes) + 1, msc=settings.msc, generator=generator
    )
    on_device(segmenter, job.device)
    data = TrainingImages(
        images.samples,
        images.targets(),
        augmentation_of(settings),
        settings.seed,
        settings.max_pixels,
        masks=True,
        longest=(settings.side[1] or settings.work_side) if settings.work_side else 0,
    )
    facts: dict[str, Any] = {
        "labels": settings.labels,
        "method": settings.method,
        "init": start.origin,
        "images": len(images),
        "parameters": sum(p.numel() for p in segmenter.parameters()),
    }
    job.reporter.info(f"{settings.network} on {len(images)} images, starting from {start.origin}")
    snapshots = Snapshots(
        job.snapshots,
        job.identity,
        segmenter,
        run=run,
        stage=job.name,
        minutes=settings.snapshot_every,
        reporter=job.reporter,
        found=job.found,
    )
    last = train_segmenter(
        segmenter,
        data,
        settings,
        device=job.device,
        precision=job.precision,
        reporter=job.reporter,
        log=partial(run.log, stage=job.name),
        after_epoch=lambda epoch: save_segmenter(job.unfinished, segmenter, images.classes, epochs=epoch, **facts),
        snapshots=snapshots,
    )
    save_segmenter(job.path, segmenter, images.classes, epochs=settings.epochs, **last, **facts)


def _predict(job: _Job, entry: StageEntry, *, anew: bool) -> tuple[int, int]:
    """Predict the held-out split; return how many masks were made and how many kept (none if `anew`)."""
    folder, held_out, settings = job.predictions, job.held_out, job.settings
    if folder is None or held_out is None:
        return 0, 0
    folder.begin(job.reporter)
    if anew:  # those of an earlier training would be kept, should this be killed before the last
        for sample in held_out:
            folder.file(sample.id).unlink(missing_ok=True)
    todo: list[Sample] = [sample for sample in held_out if not folder.done(sample.id)]
    segmenter, _ = load_segmenter(job.path, job.device)
    read = read_batches(
        todo,
        settings.predict_batch_size,
        max_pixels=settings.max_pixels,
        workers=settings.workers,
        longest=settings.work_side,
    )
    looks: dict[str, Any] = {
        "scales": settings.eval_scales,
        "side": settings.predict_side,
        "precision": job.precision,
    }
    predicting = Predicting.by(segmenter, settings.memory, "prediction", **looks)
    with Commits() as commits, job.reporter.track(f"Predicting {held_out.split}", len(todo)) as progress:
        for batch in read:
            size = (batch.images[0].shape[0], batch.images[0].shape[1])
            for part in parts_of(len(batch.images), predicting.together(len(batch.images), size)):
                masks = predict_masks(
                    segmenter,
                    batch.images[part],
                    flip=settings.flip,
                    crf=settings.crf,
                    sizes=batch.sizes[part],
                    names=[sample.id for sample in batch.samples[part]],
                    **looks,
                )
                for sample, mask in zip(batch.samples[part], masks, strict=True):
                    with commits.item():
                        write_mask(folder.file(sample.id), mask)
                progress.advance(len(masks))
    entry.outputs[PREDICTIONS] = job.run.output_of_folder(folder.path, "*.png")
    return len(todo), len(held_out) - len(todo)
