"""Part of make-masks: seeds spread by IRN — confident labels, boundary network, random walk, threshold after it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from recam_cli.core.affinity.spread import check_floor
from recam_cli.core.hardware import choose_device
from recam_cli.core.masks.confident import ConfidentThresholds
from recam_cli.core.masks.threshold import keep_share, share_above
from recam_cli.core.models.boundary_files import load_boundary
from recam_cli.core.models.irnet import BoundaryNet
from recam_cli.core.runs.files import sha256_of
from recam_cli.core.settings.make_masks import MakeMasksSettings
from recam_cli.core.training.boundary_training import boundary_augmentation
from recam_cli.stages import confident_labels, random_walk, train_irn
from recam_cli.stages.mask_work import MaskWork, Threshold, parse_threshold


@dataclass(frozen=True)
class Spread:
    """Walked seeds.

    Attributes:
        folder: of `<id>.npz`.
        inputs: what masks made from them depend on.
        cut: the background's score among them.
    """

    folder: Path
    inputs: dict[str, str]
    cut: Threshold


def check(settings: MakeMasksSettings) -> None:
    """Refuse what a part of IRN would refuse, before the first of them takes its time.

    Raises:
        UsageError: a value is outside its range, or the device is absent.
        DataError: the weights given are not of a boundary network.
    """
    device = choose_device(settings.device)
    boundary_augmentation(settings)
    check_floor(parse_threshold(settings.walk_floor, "--walk-floor") or 0.0)
    parse_threshold(settings.walk_threshold, "--walk-threshold")
    if settings.irn_weights is not None:
        load_boundary(settings.irn_weights, device)


def spread(work: MaskWork, threshold: float) -> Spread:
    """Spread the seeds; each part is kept where it was made with the same settings.

    Args:
        work: the call of make-masks.
        threshold: the seeds' own.

    Raises:
        UsageError, DataError, TrainingError: as the parts do.
    """
    net, digest = _network(work, threshold)
    folder = random_walk.run(work, net=net, digest=digest, floor=_floor(work.settings, threshold))
    stage = random_walk.STAGE + work.suffix
    cut = _choose_cut(work, folder, threshold)
    inputs = work.inputs | {stage: work.run.require(stage).fingerprint, "walk_threshold": f"{cut.value:.4f}"}
    return Spread(folder, inputs, cut)


def _network(work: MaskWork, threshold: float) -> tuple[BoundaryNet, str]:
    """Return the boundary network and its file's SHA-256."""
    settings = work.settings
    if settings.irn_weights is not None:
        return load_boundary(settings.irn_weights, choose_device(settings.device)), sha256_of(settings.irn_weights)
    labels = confident_labels.run(work, threshold=threshold)
    return train_irn.run(work, labels=labels)


def _floor(settings: MakeMasksSettings, threshold: float) -> float:
    given = parse_threshold(settings.walk_floor, "--walk-floor")
    if given is not None:
        return given
    return ConfidentThresholds.around(threshold, high=settings.confident_fg, low=settings.confident_bg).low


def _choose_cut(work: MaskWork, walked: Path, threshold: float) -> Threshold:
    given = parse_threshold(work.settings.walk_threshold, "--walk-threshold")
    if given is not None:
        return Threshold(given, "given", "given as --walk-threshold")
    with work.reporter.track("Choosing the threshold after the walk", 2 * len(work.images)) as progress:
        share = share_above(work.seeds_in(work.seeds, progress), threshold)
        choice = keep_share(work.seeds_in(walked, progress), share)
    work.reporter.info(f"Threshold after the walk {choice.value:.3f}: {choice.how}")
    return Threshold(float(choice.value), "label-free", choice.how)
