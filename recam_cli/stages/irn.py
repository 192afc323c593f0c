"""Part of make-masks: seeds spread by IRN — confident labels, boundary network, random walk, threshold after it.

With --instances, instance maps are made of the masks that make-masks cuts from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from recam_cli.core.affinity.spread import check_floor
from recam_cli.core.hardware import choose_device
from recam_cli.core.masks.confident import ConfidentThresholds
from recam_cli.core.masks.threshold import keep_share, share_above
from recam_cli.core.models.boundary_files import boundary_digest, load_boundary
from recam_cli.core.models.irnet import BoundaryNet
from recam_cli.core.runs.files import sha256_of
from recam_cli.core.settings.make_masks import MakeMasksSettings
from recam_cli.core.training.boundary_training import boundary_augmentation
from recam_cli.stages import confident_labels, instances, random_walk, train_irn
from recam_cli.stages.mask_work import InstancesResult, MaskWork, Threshold, parse_threshold


@dataclass(frozen=True)
class Spread:
    """Walked seeds.

    Attributes:
        folder: of `<id>.npz`.
        inputs: what masks made from them depend on.
        cut: the background's score among them.
        net: the boundary network they walked by.
        weights: its file.
        floor: what was taken off their scores before.
    """

    folder: Path
    inputs: dict[str, str]
    cut: Threshold
    net: BoundaryNet
    weights: Path
    floor: float


def check(settings: MakeMasksSettings) -> None:
    """Refuse what a part of IRN would refuse, before the first of them takes its time.

    Raises:
        UsageError: a value is outside its range, or the device is absent.
        DataError: the weights given are not of a boundary network, or lack the branch that instance maps need.
    """
    device = choose_device(settings.device)
    boundary_augmentation(settings)
    check_floor(parse_threshold(settings.walk_floor, "--walk-floor") or 0.0)
    parse_threshold(settings.walk_threshold, "--walk-threshold")
    if settings.irn_weights is not None:
        load_boundary(settings.irn_weights, device, displacement=settings.instances)


def spread(work: MaskWork, threshold: float) -> Spread:
    """Spread the seeds; each part is kept where it was made with the same settings.

    Args:
        work: the call of make-masks.
        threshold: the seeds' own.

    Raises:
        UsageError, DataError, TrainingError: as the parts do.
    """
    settings = work.settings
    labels_walk = settings.walk_sources == "labels"
    labels = confident_labels.run(work, threshold=threshold) if labels_walk or settings.irn_weights is None else None
    if settings.irn_weights is not None:
        net, weights = load_boundary(settings.irn_weights, choose_device(settings.device)), settings.irn_weights
    else:
        assert labels is not None
        net, weights = train_irn.run(work, labels=labels)
    floor = _floor(settings, threshold)
    digest = boundary_digest(weights)
    folder = random_walk.run(work, net=net, digest=digest, floor=floor, labels=labels if labels_walk else None)
    stage = random_walk.STAGE + work.suffix
    cut = _choose_cut(work, folder, threshold)
    inputs = work.inputs | {stage: work.run.require(stage).fingerprint, "walk_threshold": f"{cut.value:.4f}"}
    return Spread(folder, inputs, cut, net, weights, floor)


def tell_apart(work: MaskWork, spread: Spread, masks: Path) -> InstancesResult:
    """Make the instance maps of finished `masks`, the folder of make-masks.

    Raises:
        RunError, DataError: as the part does.
    """
    source = "make-masks" + work.suffix
    inputs = {
        source: work.run.require(source).fingerprint,
        "irn": sha256_of(spread.weights),
        "floor": f"{spread.floor:.4f}",
    }
    return instances.run(work, net=spread.net, masks=masks, floor=spread.floor, inputs=inputs)


def _floor(settings: MakeMasksSettings, threshold: float) -> float:
    given = parse_threshold(settings.walk_floor, "--walk-floor")
    if given is not None:
        return given
    return ConfidentThresholds.around(threshold, high=settings.confident_fg, low=settings.confident_bg).low


def _choose_cut(work: MaskWork, walked: Path, threshold: float) -> Threshold:
    given = parse_threshold(work.settings.walk_threshold, "--walk-threshold")
    if given is not None:
        return Threshold(given, "given", "given as --walk-threshold")
    labels_walk = work.settings.walk_sources == "labels"
    with work.reporter.track("Choosing the threshold after the walk", (2 - labels_walk) * len(work.images)) as progress:
        if labels_walk:
            share = float(work.run.require(confident_labels.STAGE + work.suffix).metrics[confident_labels.OBJECTS])
            whose = "the confident labels have, half of the undecided among it"
        else:
            share = share_above(work.seeds_in(work.seeds, progress), threshold)
            whose = "the seeds have at theirs"
        choice = keep_share(work.seeds_in(walked, progress), share, whose)
    work.reporter.info(f"Threshold after the walk {choice.value:.3f}: {choice.how}")
    return Threshold(float(choice.value), "label-free", choice.how)
