"""How long `recam run` will take here: a few seconds of measuring, then one formula per stage.

Measured (`run_speeds`) is what the time goes to: a forward pass and a training step of the backbone, a step of the
segmenter, decoding, the dense CRF, the random walk. The constants here say how many of these a stage takes per
photograph; `tests/benchmarks/bench_estimate.py` compares them with runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from recam_cli.core.cams.families import SAMPLE as TRIED
from recam_cli.core.cams.families import other_sides
from recam_cli.core.data.samples import ImageSet
from recam_cli.core.masks.stability import SAMPLE, SIDE
from recam_cli.core.run_speeds import MEGA, Amount, Speeds, amount_of, measured
from recam_cli.core.settings.irn import walk_kind
from recam_cli.core.settings.make_masks import MakeMasksSettings
from recam_cli.core.settings.make_seeds import MakeSeedsSettings
from recam_cli.core.settings.resolve import Resolved
from recam_cli.core.settings.self_training import LEARNING
from recam_cli.core.settings.train_cls import TrainClsSettings
from recam_cli.core.settings.train_seg import TrainSegSettings

START = {"check-data": 0.3, "train-cls": 1.0, "make-seeds": 0.3, "make-masks": 4.0, "train-seg": 1.0, "report": 1.5}
"""Seconds that a stage takes whatever the number of photographs, e.g. to start worker processes."""
AUGMENTING = 0.05
"""Seconds of one core per megapixel of a training crop."""
BRANCH = 0.42
"""A step of the boundary network's branch, above a forward pass of its frozen backbone, in confident labels."""
HEADS = {"lraspp": 1.1, "deeplabv2": 1.3, "deeplabv3": 1.6}
"""A forward pass of a segmenter, as a multiple of its backbone's."""
GROWING = 0.5
"""Seconds of one core per megapixel of a prediction, to bring its scores to the photograph's size."""
CUTTING = 0.15
"""Seconds of one core per megapixel of a mask, to cut a seed and write what comes out."""
ONE_CRF = 0.6
"""One dense CRF, as a share of two on the same photograph."""
STABLE = 3.0
"""Dense CRFs at all thresholds to compare, as a multiple of two."""


@dataclass(frozen=True)
class Estimate:
    """Seconds by stage; empty where nothing is estimated."""

    seconds: Mapping[str, float]

    @property
    def total(self) -> float:
        """Their sum."""
        return sum(self.seconds.values())


def check_data(settings: Any, amount: Amount, speeds: Speeds) -> float:
    """Return the seconds of check-data."""
    return _checking(amount.train + amount.held_out, settings.workers, amount, speeds)


def train_cls(settings: TrainClsSettings, amount: Amount, speeds: Speeds) -> float:
    """Return the seconds of train-cls: the check, all phases, and AP on held-out photographs after each."""
    again = settings.method != "cam" and amount.classes > 1
    first, second = settings.epochs_of(amount.train, amount.classes)
    epochs, phases = first + (second if again else 0), 2 if again else 1
    seconds = _steps(amount.train * epochs, settings.crop, speeds.step, amount, speeds)
    if settings.start == "probe":
        views = 2 * sum(amount.seen(side) for side in settings.probe_sides)
        seconds += (2 if again else 1) * amount.train * (views * speeds.forward + amount.area * speeds.decoding)
    scored = phases if settings.select == "last" else epochs + 2 * phases
    side = min(settings.work_side, settings.long_side[1])
    seconds += amount.held_out * amount.worked(side) * speeds.forward * scored
    return _checking(amount.train + amount.held_out, settings.workers, amount, speeds) + seconds


def make_seeds(settings: MakeSeedsSettings, amount: Amount, speeds: Speeds) -> float:
    """Return the seconds of make-seeds: each size, and its mirror image."""
    sides = [side for side in settings.sides if side]
    once = sum(map(amount.seen, sides)) if sides else amount.area * sum(scale**2 for scale in settings.scales)
    views = once * (2 if settings.flip else 1)
    seconds = amount.train * (views * speeds.forward + amount.area * speeds.decoding)
    return seconds + (_choosing(settings, amount, speeds) if settings.choose and sides else 0.0)


def _choosing(settings: MakeSeedsSettings, amount: Amount, speeds: Speeds) -> float:
    """Return the seconds of choosing sizes, and CAM or ReCAM: seeds of a sample, and CRFs of them, in each way."""
    longest = 1000 * (amount.area / amount.aspect) ** 0.5
    others = other_sides(settings.sides, longest)
    ways = [settings.sides, *others, *([settings.sides] if amount.classes > 1 else [])]
    views = sum(amount.seen(side) for way in ways for side in way) * (2 if settings.flip else 1)
    each = views * speeds.forward + len(ways) * (
        amount.seen(SIDE) * STABLE * speeds.crf + amount.area * speeds.decoding
    )
    return min(amount.train, TRIED) * each


def make_masks(settings: MakeMasksSettings, amount: Amount, speeds: Speeds) -> float:
    """Return the seconds of make-masks, the parts of its refinement included."""
    workers = max(1, min(speeds.cores, settings.workers if settings.workers is not None else speeds.cores))
    area = amount.train * amount.worked(settings.work_side)
    seconds = amount.train * amount.area * CUTTING / workers
    refining = area * speeds.crf * speeds.cores / workers
    if settings.refine.endswith("crf"):
        seconds += ONE_CRF * refining
    if settings.refine != "none" and settings.threshold == "auto":
        seconds += min(amount.train, SAMPLE) * amount.seen(SIDE) * STABLE * speeds.crf * speeds.cores / workers
    kind = walk_kind(settings.refine)
    if kind is None:
        return seconds
    seconds += refining
    crops = settings.irn_crop if kind == "irn" else settings.psa_crop
    epochs = settings.irn_epochs if kind == "irn" else settings.psa_epochs
    seconds += _steps(amount.train * epochs, crops, speeds.forward + BRANCH * speeds.crf, amount, speeds)
    walking = amount.train * amount.seen(settings.walk_side) if settings.walk_side else area * settings.walk_scale**2
    maps = amount.labels + (1 if settings.walk_sources == "labels" or kind == "psa" else 0)
    spread = speeds.walk * maps * float((settings.walk_steps / 512) ** 0.5)
    return seconds + walking * (2 * speeds.forward + spread) + _self_training(settings, amount, speeds)


def _self_training(settings: MakeMasksSettings, amount: Amount, speeds: Speeds) -> float:
    """Return the seconds of the segmenter's steps, and of what it sees at one size, mirrored, too."""
    if settings.self_epochs == 0:
        return 0.0
    seconds = _steps(amount.train * settings.self_epochs, LEARNING.crop, speeds.segmenting, amount, speeds)
    seeing = amount.seen(LEARNING.predict_side) * 2 * HEADS[LEARNING.network] * speeds.forward
    return seconds + amount.train * (seeing + 2 * amount.area * (speeds.decoding + CUTTING / speeds.cores))


def train_seg(settings: TrainSegSettings, amount: Amount, speeds: Speeds) -> float:
    """Return the seconds of train-seg: its steps, and the prediction of held-out photographs."""
    steps = _steps(amount.train * settings.epochs, settings.crop, speeds.segmenting, amount, speeds)
    return steps + predicting(settings, amount.held_out, amount, speeds)


def predicting(settings: TrainSegSettings, photographs: int, amount: Amount, speeds: Speeds) -> float:
    """Return the seconds that predicting so many photographs takes."""
    views = sum(scale**2 for scale in settings.eval_scales) * (2 if settings.flip else 1)
    seen = amount.seen(settings.predict_side) if settings.predict_side else amount.worked(settings.work_side)
    each = seen * views * HEADS[settings.network] * speeds.forward
    each += amount.area * (GROWING / speeds.cores + speeds.decoding)
    each += amount.worked(settings.work_side) * ONE_CRF * speeds.crf if settings.crf else 0.0
    return photographs * each


def _checking(photographs: int, workers: int, amount: Amount, speeds: Speeds) -> float:
    return photographs * amount.area * speeds.decoding / max(1, min(workers, speeds.cores))


def _steps(photographs: int, crop: int, step: float, amount: Amount, speeds: Speeds) -> float:
    """Return the seconds of a training that sees so many photographs; who loads them has the same cores."""
    pixels = crop**2 / MEGA
    loading = amount.area * speeds.decoding + pixels * AUGMENTING
    return photographs * (pixels * step + loading / speeds.cores)


def estimate(
    stages: Mapping[str, Resolved[Any]],
    names: Sequence[str],
    train: ImageSet,
    held_out: Sequence[ImageSet],
    unlabelled: Sequence[Path],
) -> Estimate:
    """Measure this machine for a few seconds, and return what the stages will take on it.

    Args:
        stages: settings by stage.
        names: the stages to do; "predict" are photographs without a label.
        train: what trains.
        held_out: what is held out.
        unlabelled: photographs without a label.

    Returns:
        Seconds by name; none where no photograph can be read, which the stages will tell.
    """
    amount = amount_of(train, held_out, unlabelled)
    if amount is None:
        return Estimate({})
    settings = {name: resolved.settings for name, resolved in stages.items()}
    speeds = measured(settings, names, train, amount)
    seconds: dict[str, float] = {}
    for name in names:
        if name == "predict":
            seconds[name] = predicting(settings["train-seg"], amount.unlabelled, amount, speeds)
        elif name == "report":
            seconds[name] = START[name]
        else:
            masked = name in ("make-seeds", "make-masks") and settings[name].split != train.split
            on = replace(amount, train=amount.train + amount.held_out) if masked else amount
            seconds[name] = START[name] + _SECONDS[name](settings[name], on, speeds)
    return Estimate(seconds)


_SECONDS: Mapping[str, Callable[[Any, Amount, Speeds], float]] = {
    "check-data": check_data,
    "train-cls": train_cls,
    "make-seeds": make_seeds,
    "make-masks": make_masks,
    "train-seg": train_seg,
}


def in_words(seconds: float) -> str:
    """Return a time as one says it: "45 s", "3 min 40 s", "2 h 10 min"."""
    whole = max(1, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3570:
        minutes, rest = divmod(5 * round(whole / 5) if whole < 600 else 60 * round(whole / 60), 60)
        return f"{minutes} min" + (f" {rest} s" if rest else "")
    hours, minutes = divmod(round(whole / 300) * 5, 60)
    return f"{hours} h" + (f" {minutes} min" if minutes else "")
