"""How long `recam run` will take here: a few seconds of measuring, then one formula per stage.

Measured is what the time goes to: a forward pass and a training step of the backbone, decoding, the dense CRF, the
random walk. The constants say how many of these a stage takes per photograph; `tests/benchmarks/bench_estimate.py`
compares them with runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from recam_cli.core.affinity.spread import boundary_walk
from recam_cli.core.cams.store import STRIDE, Seed
from recam_cli.core.data.images import read_image, read_size
from recam_cli.core.data.photos import fitted
from recam_cli.core.data.samples import ImageSet
from recam_cli.core.errors import DataError
from recam_cli.core.hardware import autocast, choose_device, choose_precision, prepare_process
from recam_cli.core.masks.crf import check_backend
from recam_cli.core.masks.refine import SeedRefiner
from recam_cli.core.models.backbones import build_backbone
from recam_cli.core.settings.irn import walk_kind
from recam_cli.core.settings.make_masks import MakeMasksSettings
from recam_cli.core.settings.make_seeds import MakeSeedsSettings
from recam_cli.core.settings.resolve import Resolved
from recam_cli.core.settings.train_cls import TrainClsSettings
from recam_cli.core.settings.train_seg import TrainSegSettings
from recam_cli.core.threads import available_cores

MEGA = 1e6
START = {"check-data": 0.3, "train-cls": 1.0, "make-seeds": 0.3, "make-masks": 4.0, "train-seg": 1.0, "report": 1.5}
"""Seconds that a stage takes whatever the number of photographs, e.g. to start worker processes."""
AUGMENTING = 0.05
"""Seconds of one core per megapixel of a training crop."""
BRANCH = 0.57
"""A step of the boundary network's branch, above a forward pass of its frozen backbone, in confident labels."""
EDGES = 0.14
"""The branch on a photograph and its mirror image, above two forward passes, in confident labels."""
SEGMENTING = {0: 1.3, 1: 1.2, 2: 1.0, 3: 0.8, 4: 0.6}
"""A step of the segmenter by its frozen stages, as a multiple of a step of the classifier."""
HEADS = {"lraspp": 1.1, "deeplabv2": 1.3, "deeplabv3": 1.6}
"""A forward pass of a segmenter, as a multiple of its backbone's."""
GROWING = 0.5
"""Seconds of one core per megapixel of a prediction, to bring its scores to the photograph's size."""
CUTTING = 0.15
"""Seconds of one core per megapixel of a mask, to cut a seed and write what comes out."""
ONE_CRF = 0.6
"""One dense CRF, as a share of two on the same photograph."""
_MOST_PHOTOS = 12
_LONG_SIDE = 480
_AT_ONCE = 0.25
"""Megapixels that are measured together: fewer take longer each."""
_ENOUGH = 0.5
"""Seconds after which something is measured often enough."""


@dataclass(frozen=True)
class Estimate:
    """Seconds by stage; empty where nothing is estimated."""

    seconds: Mapping[str, float]

    @property
    def total(self) -> float:
        """Their sum."""
        return sum(self.seconds.values())


@dataclass(frozen=True)
class Amount:
    """What there is to do it on.

    Attributes:
        train: number of photographs that train.
        held_out: of those that are predicted.
        unlabelled: of those without a label.
        area: megapixels of one, on average.
        labels: classes that one shows, on average.
        classes: number of classes.
    """

    train: int
    held_out: int
    unlabelled: int
    area: float
    labels: float
    classes: int


@dataclass(frozen=True)
class Speeds:
    """What this machine takes, in seconds per megapixel.

    Attributes:
        forward: a forward pass of the backbone.
        step: a training step of it.
        decoding: reading a photograph, on one core.
        crf: confident labels, two dense CRFs on one photograph, on all cores.
        walk: the random walk, per megapixel of the image as it walks and per map.
        cores: to work on.
    """

    forward: float
    step: float
    decoding: float
    crf: float
    walk: float
    cores: int


def check_data(settings: Any, amount: Amount, speeds: Speeds) -> float:
    """Return the seconds of check-data."""
    return _checking(amount.train + amount.held_out, settings.workers, amount, speeds)


def train_cls(settings: TrainClsSettings, amount: Amount, speeds: Speeds) -> float:
    """Return the seconds of train-cls: the check, both phases, and AP on held-out photographs after each."""
    phases = 2 if settings.method == "recam" else 1
    epochs = settings.epochs + (settings.recam_epochs if phases == 2 else 0)
    steps = _steps(amount.train * epochs, settings.crop, speeds.step, amount, speeds)
    scored = phases if settings.select == "last" else epochs
    scoring = amount.held_out * amount.area * speeds.forward * scored
    return _checking(amount.train + amount.held_out, settings.workers, amount, speeds) + steps + scoring


def make_seeds(settings: MakeSeedsSettings, amount: Amount, speeds: Speeds) -> float:
    """Return the seconds of make-seeds: each scale, and its mirror image."""
    views = sum(scale**2 for scale in settings.scales) * (2 if settings.flip else 1)
    return amount.train * amount.area * (views * speeds.forward + speeds.decoding)


def make_masks(settings: MakeMasksSettings, amount: Amount, speeds: Speeds) -> float:
    """Return the seconds of make-masks, the parts of its refinement included."""
    workers = max(1, min(speeds.cores, settings.workers if settings.workers is not None else speeds.cores))
    area = amount.train * amount.area
    seconds = area * CUTTING / workers
    refining = area * speeds.crf * speeds.cores / workers
    if settings.refine.endswith("crf"):
        seconds += ONE_CRF * refining
    kind = walk_kind(settings.refine)
    if kind is None:
        return seconds
    seconds += refining
    crops = settings.irn_crop if kind == "irn" else settings.psa_crop
    epochs = settings.irn_epochs if kind == "irn" else settings.psa_epochs
    seconds += _steps(amount.train * epochs, crops, speeds.forward + BRANCH * speeds.crf, amount, speeds)
    walking = area * settings.walk_scale**2
    maps = amount.labels + (1 if settings.walk_sources == "labels" or kind == "psa" else 0)
    spread = speeds.walk * maps * float((settings.walk_steps / 512) ** 0.5)
    return seconds + walking * (2 * speeds.forward + EDGES * speeds.crf + spread)


def train_seg(settings: TrainSegSettings, amount: Amount, speeds: Speeds) -> float:
    """Return the seconds of train-seg: its steps, and the prediction of held-out photographs."""
    step = speeds.step * SEGMENTING[settings.freeze_stages]
    return _steps(amount.train * settings.epochs, settings.crop, step, amount, speeds) + predicting(
        settings, amount.held_out, amount, speeds
    )


def predicting(settings: TrainSegSettings, photographs: int, amount: Amount, speeds: Speeds) -> float:
    """Return the seconds that predicting so many photographs takes."""
    views = sum(scale**2 for scale in settings.eval_scales) * (2 if settings.flip else 1)
    each = views * (HEADS[settings.network] * speeds.forward + GROWING / speeds.cores) + speeds.decoding
    each += ONE_CRF * speeds.crf if settings.crf else 0.0
    return photographs * amount.area * each


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
    amount = _amount(train, held_out, unlabelled)
    if amount is None:
        return Estimate({})
    settings = {name: resolved.settings for name, resolved in stages.items()}
    speeds = _measured(settings, names, train, amount)
    seconds: dict[str, float] = {}
    for name in names:
        if name == "predict":
            seconds[name] = predicting(settings["train-seg"], amount.unlabelled, amount, speeds)
        elif name == "report":
            seconds[name] = START[name]
        else:
            seconds[name] = START[name] + _SECONDS[name](settings[name], amount, speeds)
    return Estimate(seconds)


_SECONDS: Mapping[str, Callable[[Any, Amount, Speeds], float]] = {
    "check-data": check_data,
    "train-cls": train_cls,
    "make-seeds": make_seeds,
    "make-masks": make_masks,
    "train-seg": train_seg,
}


def _amount(train: ImageSet, held_out: Sequence[ImageSet], unlabelled: Sequence[Path]) -> Amount | None:
    areas = []
    for sample in train.samples[:: max(1, len(train) // _MOST_PHOTOS)]:
        try:
            height, width = read_size(sample.image)
        except DataError:
            continue
        areas.append(height * width / MEGA)
    if not areas:
        return None
    labels = sum(len(sample.labels) for sample in train) / len(train)
    held = sum(map(len, held_out))
    return Amount(len(train), held, len(unlabelled), float(np.mean(areas)), labels, len(train.classes))


def _measured(settings: Mapping[str, Any], names: Sequence[str], train: ImageSet, amount: Amount) -> Speeds:
    classifier: TrainClsSettings = settings["train-cls"]
    masks: MakeMasksSettings = settings["make-masks"]
    computes = any(name not in ("check-data", "report") for name in names)
    refines = "make-masks" in names and masks.refine != "none"
    refines = refines or ("train-seg" in names and settings["train-seg"].crf)
    forward, step = _network(classifier) if computes else (0.0, 0.0)
    return Speeds(
        forward=forward,
        step=step,
        decoding=_decoding(train),
        crf=_crf(train, amount) if refines else 0.0,
        walk=_walk(masks) if "make-masks" in names and walk_kind(masks.refine) is not None else 0.0,
        cores=available_cores(),
    )


def _network(settings: TrainClsSettings) -> tuple[float, float]:
    """Return the seconds per megapixel of a forward pass and of a training step."""
    prepare_process(deterministic=settings.deterministic)
    device = choose_device(settings.device)
    precision = choose_precision(settings.precision, device)
    with torch.random.fork_rng(devices=[]):
        network = build_backbone(settings.backbone, stride=int(settings.stride)).to(device)
    if settings.weights != "none":
        network.freeze_statistics()
        network.freeze_stem()
    side = min(settings.crop, 512)
    batch = max(1, min(settings.batch_size, round(_AT_ONCE * MEGA / side**2)))
    images = torch.zeros(batch, 3, side, side, device=device).contiguous(memory_format=torch.channels_last)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward() -> None:
        with torch.inference_mode(), autocast(device, precision):
            network(images)
        _wait(device)

    def step() -> None:
        with autocast(device, precision):
            loss = network(images).float().mean()
        loss.backward()
        _wait(device)

    area = batch * side**2 / MEGA
    return _timed(forward) / area, _timed(step) / area


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _decoding(train: ImageSet) -> float:
    """Return the seconds per megapixel of reading a photograph."""
    begun, area = time.perf_counter(), 0.0
    for sample in train.samples[:: max(1, len(train) // _MOST_PHOTOS)]:
        try:
            image = read_image(sample.image)
        except DataError:
            continue
        area += image.shape[0] * image.shape[1] / MEGA
        if time.perf_counter() - begun > _ENOUGH:
            break
    return (time.perf_counter() - begun) / area if area else 0.0


def _crf(train: ImageSet, amount: Amount) -> float:
    """Return the seconds per megapixel of two dense CRFs on one photograph, on all cores."""
    check_backend()
    for sample in train.samples[:_MOST_PHOTOS]:
        try:
            pixels = fitted(read_image(sample.image), _LONG_SIDE)
            break
        except DataError:
            continue
    else:
        return 0.0
    height, width = pixels.shape[:2]
    count = max(1, round(amount.labels))
    scores = np.random.default_rng(0).random((count, 4, 4), dtype=np.float32)
    cells = -(-height // STRIDE), -(-width // STRIDE)
    maps = np.stack([cv2.resize(one, cells[::-1], interpolation=cv2.INTER_CUBIC).clip(0, 1) for one in scores])
    seed = Seed(np.arange(count), maps, (height, width))

    def refine() -> None:
        SeedRefiner(pixels, seed).masks((0.6, 0.4))

    return _timed(refine) / (int(height) * int(width) / MEGA)


def _walk(settings: MakeMasksSettings) -> float:
    """Return the seconds per megapixel and map of a random walk of 512 steps."""
    device = choose_device(settings.device)
    side = 96
    edges = torch.rand(1, side, side, generator=torch.Generator().manual_seed(0)).to(device)
    maps = torch.ones(1, 2, side, side, device=device)

    def walk() -> None:
        boundary_walk(edges, radius=settings.walk_radius).transition.walk(maps, 512)
        _wait(device)

    return _timed(walk) / 2 / ((4 * side) ** 2 / MEGA)


def _timed(work: Callable[[], None]) -> float:
    """Return the seconds that `work` takes, the median of a few; a first call is not counted."""
    work()
    begun = time.perf_counter()
    taken: list[float] = []
    while not taken or (time.perf_counter() - begun < _ENOUGH and len(taken) < 9):
        before = time.perf_counter()
        work()
        taken.append(time.perf_counter() - before)
    return float(np.median(taken))


def in_words(seconds: float) -> str:
    """Return a time as one says it: "45 s", "3 min 40 s", "2 h 10 min"."""
    whole = max(1, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        minutes, rest = divmod(5 * round(whole / 5) if whole < 600 else 60 * round(whole / 60), 60)
        return f"{minutes} min" + (f" {rest} s" if rest else "")
    hours, minutes = divmod(round(whole / 300) * 5, 60)
    return f"{hours} h" + (f" {minutes} min" if minutes else "")
