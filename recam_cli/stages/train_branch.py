"""Part of make-masks: a network of any kind, trained on label maps that make-masks made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Generic

from recam_cli.core.hardware import choose_device, choose_precision, computed_with, on_device, prepare_process
from recam_cli.core.models.branch_files import NetKind, Trained
from recam_cli.core.models.segmenter_start import find_start, resolve_backbone
from recam_cli.core.runs.files import sha256_of
from recam_cli.core.runs.run import result_settings, stage_fingerprint
from recam_cli.core.runs.stage_facts import TOGETHER_NOTE
from recam_cli.core.settings.resolve import Resolved
from recam_cli.core.training.branch_training import Lesson, Place, train_branch
from recam_cli.core.training.loader import TrainingImages
from recam_cli.core.training.snapshot_files import FOLDER as SNAPSHOTS
from recam_cli.core.training.snapshot_files import Snapshot, SnapshotFolder, changes_of, of_identity
from recam_cli.core.training.snapshots import Snapshots, identity_of, seconds_of
from recam_cli.stages.mask_work import MaskWork


@dataclass(frozen=True)
class TrainTask(Generic[Trained]):
    """What is trained.

    Attributes:
        kind: of network; the stage is recorded as train-<its name>.
        settings: all that it depends on besides its labels; with HardwareSettings and SeedSettings.
        init: what its backbone starts from.
        lesson: how it is trained.
        labels: folder of what it learns, `<id>.png`.
        labels_stage: which made them, without the variant's suffix.
        serves: other settings whose network serves as well.
        facts: what else than the backbone builds the network.
    """

    kind: NetKind[Trained]
    settings: Any
    init: str
    lesson: Lesson[Trained]
    labels: Path
    labels_stage: str
    serves: tuple[Any, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


def run(work: MaskWork, task: TrainTask[Trained]) -> tuple[Trained, Path]:
    """Train the network, or load it where it has been trained with the same settings on the same labels.

    A training of the same settings that was interrupted goes on from its last snapshot.

    Returns:
        The network, in evaluation mode on the device asked for, and its file.

    Raises:
        UsageError: an absent device, or a backbone that cannot be had.
        DataError: weights, an image or a label map cannot be used.
        TrainingError: the loss became NaN or infinite.
        RunError: the snapshots of an interrupted training are all damaged.
    """
    run, images, kind, settings = work.run, work.images, task.kind, task.settings
    prepare_process(deterministic=settings.deterministic)
    device = choose_device(settings.device)
    name, labels_name = f"train-{kind.name}{work.suffix}", task.labels_stage + work.suffix
    start = find_start(run, resolve_backbone(run, None), task.init, work.settings.method)
    inputs = {labels_name: run.require(labels_name).fingerprint, "weights": start.identity}
    path = kind.file(run.path, work.suffix)
    done = run.entry(name)
    serve = {stage_fingerprint(name, one, inputs) for one in (settings, *task.serves)}
    served = done is not None and done.fingerprint in serve and path.is_file()
    if done is not None and served:
        if sha256_of(path) == done.outputs[kind.name].sha256:
            work.reporter.info(f"{kind.describe.capitalize()}: kept {path}")
            return kind.load(path, device), path
        work.reporter.warn(f"{path} has changed since {name} wrote it: it is trained anew")
    net = on_device(kind.begin(start, settings.seed, **task.facts), device)
    place = Place(
        device, choose_precision(settings.precision, device), settings.workers, work.reporter, settings.memory
    )
    folder = SnapshotFolder(path.parent / SNAPSHOTS)
    identity = identity_of(result_settings(settings, inputs), device, place.precision)
    found = _found(folder, identity, work)
    resolved, before = Resolved(settings, work.resolved.sources), seconds_of(found)
    with run.stage(name, resolved, inputs=inputs, device=str(device), seconds_before=before) as entry:
        title = f"{kind.describe.capitalize()} on {len(images)} images"
        work.reporter.info(f"{title}, its backbone from {start.origin}")
        if found is None:
            folder.clear()
        minutes = settings.snapshot_every
        snapshots = Snapshots(
            folder, identity, net, run=run, stage=name, minutes=minutes, reporter=work.reporter, found=found
        )
        last = train_branch(net, _data(work, task), task.lesson, place, partial(run.log, stage=name), snapshots)
        kind.save(path, net, epochs=task.lesson.epochs, images=len(images))
        entry.metrics |= last
        entry.notes |= {TOGETHER_NOTE: snapshots.carry(TOGETHER_NOTE, {}), **computed_with(place.precision)}
        entry.outputs[kind.name] = run.output_of_file(path)
    folder.clear()
    return net.eval(), path


def _found(folder: SnapshotFolder, identity: Mapping[str, Any], work: MaskWork) -> Snapshot | None:
    """Return what an interrupted training of the same settings goes on from; that of others is begun anew.

    Raises:
        RunError: there are snapshots, but none is whole.
    """
    found = folder.read(work.reporter)
    if found is None or of_identity(found, identity):
        return found
    work.reporter.info(f"Not going on from {folder.last}, which was made with {changes_of(found, identity)}")
    return None


def _data(work: MaskWork, task: TrainTask[Trained]) -> TrainingImages:
    samples = tuple(replace(sample, mask=task.labels / f"{sample.id}.png") for sample in work.images)
    return TrainingImages(
        samples,
        work.images.targets(),
        task.lesson.augmentation,
        task.settings.seed,
        task.settings.max_pixels,
        masks=True,
        longest=task.settings.work_side,
    )
