"""Part of make-masks: seeds spread by a walk of any kind — what guides it, the walk, the threshold, self-training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from recam_cli.core.cams.floor import check_floor
from recam_cli.core.hardware import choose_device
from recam_cli.core.masks.confident import ConfidentThresholds
from recam_cli.core.masks.self_training import JOINED_THRESHOLD
from recam_cli.core.masks.threshold import keep_share, share_above
from recam_cli.core.settings.make_masks import MakeMasksSettings
from recam_cli.stages import irn, psa, random_walk, self_training
from recam_cli.stages.mask_work import MaskWork, Threshold, parse_threshold


class WalkRefiner(Protocol):
    """A module that says what guides one kind of walk."""

    def check(self, settings: MakeMasksSettings, /) -> None:
        """Refuse what `guide` would refuse, before any work begins."""
        ...

    def guide(self, work: MaskWork, /, *, threshold: float, floor: float) -> random_walk.Guide:
        """Return what guides the walk, of seeds with this threshold, from which `floor` is taken off."""
        ...


REFINERS: dict[str, WalkRefiner] = {"irn": irn, "psa": psa}


@dataclass(frozen=True)
class Spread:
    """Walked seeds.

    Attributes:
        folder: of `<id>.npz`: walked, or walked and joined with the scores of self-training.
        inputs: what masks made from them depend on.
        threshold: the background's score among them.
        cut: that after the walk.
        guide: what they walked by.
    """

    folder: Path
    inputs: dict[str, str]
    threshold: float
    cut: Threshold
    guide: random_walk.Guide


def check(settings: MakeMasksSettings, kind: str) -> None:
    """Refuse what a part of the walk of `kind` would refuse, before the first of them takes its time.

    Raises:
        UsageError: a value is outside its range, or the device is absent.
        DataError: the weights given are of another network.
    """
    choose_device(settings.device)
    check_floor(parse_threshold(settings.walk_floor, "--walk-floor") or 0.0)
    parse_threshold(settings.walk_threshold, "--walk-threshold")
    REFINERS[kind].check(settings)


def spread(work: MaskWork, kind: str, threshold: float) -> Spread:
    """Spread the seeds; each part is kept where it was made with the same settings.

    Args:
        work: the call of make-masks.
        kind: which walk, a key of `REFINERS`.
        threshold: the seeds' own.

    Raises:
        UsageError, DataError, TrainingError: as the parts do.
    """
    floor = _floor(work.settings, kind, threshold)
    guide = REFINERS[kind].guide(work, threshold=threshold, floor=floor)
    folder = random_walk.run(work, guide)
    stage = random_walk.STAGE + work.suffix
    cut = _choose_cut(work, folder, threshold)
    inputs = work.inputs | {stage: work.run.require(stage).fingerprint, "walk_threshold": str(cut.value)}
    if work.settings.self_epochs == 0:
        return Spread(folder, inputs, cut.value, cut, guide)
    joined, by = self_training.run(work, folder, cut, inputs)
    return Spread(joined, inputs | by, JOINED_THRESHOLD, cut, guide)


def _floor(settings: MakeMasksSettings, kind: str, threshold: float) -> float:
    given = parse_threshold(settings.walk_floor, "--walk-floor")
    if given is not None:
        return given
    if kind != "irn":
        return ConfidentThresholds.around(threshold).low
    return ConfidentThresholds.around(threshold, high=settings.confident_fg, low=settings.confident_bg).low


def _choose_cut(work: MaskWork, walked: Path, threshold: float) -> Threshold:
    given = parse_threshold(work.settings.walk_threshold, "--walk-threshold")
    if given is not None:
        return Threshold(given, "given", "given as --walk-threshold")
    with work.reporter.track("Choosing the threshold after the walk", len(work.images)) as progress:
        choice = keep_share(work.seeds_in(walked, progress), share_above(work.seeds_in(work.seeds), threshold))
    work.reporter.info(f"Threshold after the walk {choice.value:.3f}: {choice.how}")
    return Threshold(float(choice.value), "label-free", choice.how)
