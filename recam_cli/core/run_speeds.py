"""What this machine takes for what `recam run` spends its time on, measured in a few seconds."""

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
from recam_cli.core.hardware import autocast, choose_device, choose_precision, on_device, prepare_process
from recam_cli.core.masks.crf import check_backend
from recam_cli.core.masks.refine import SeedRefiner
from recam_cli.core.models.backbones import build_backbone
from recam_cli.core.models.segmenters import build_segmenter
from recam_cli.core.settings.irn import walk_kind
from recam_cli.core.settings.make_masks import MakeMasksSettings
from recam_cli.core.settings.train_cls import TrainClsSettings
from recam_cli.core.settings.train_seg import TrainSegSettings
from recam_cli.core.threads import available_cores
from recam_cli.core.training.segmentation_loss import segmentation_loss
from recam_cli.core.training.segmenter_training import freeze_stages

MEGA = 1e6
_MOST_PHOTOS, _MOST_REFINED = 12, 5
_LONG_SIDE = 480
_AT_ONCE = 0.25
"""Megapixels that are measured together: fewer take longer each."""
_ENOUGH = 0.5
"""Seconds after which something is measured often enough."""


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
        aspect: of one, the shorter side over the longer, on average.
    """

    train: int
    held_out: int
    unlabelled: int
    area: float
    labels: float
    classes: int
    aspect: float = 0.75

    def seen(self, side: int) -> float:
        """Return the megapixels of one at the longer side `side`."""
        return side**2 * self.aspect / MEGA

    def worked(self, side: int) -> float:
        """Return the megapixels of one's working copy of the longer side `side`; 0: of its own size."""
        return min(self.area, self.seen(side)) if side else self.area


@dataclass(frozen=True)
class Speeds:
    """What this machine takes, in seconds per megapixel.

    Attributes:
        forward: a forward pass of the backbone.
        step: a training step of it.
        segmenting: a training step of the segmenter.
        decoding: reading a photograph, on one core.
        crf: confident labels, two dense CRFs on one photograph, on all cores.
        walk: the random walk, per megapixel of the image as it walks and per map.
        cores: to work on.
    """

    forward: float
    step: float
    segmenting: float
    decoding: float
    crf: float
    walk: float
    cores: int


def amount_of(train: ImageSet, held_out: Sequence[ImageSet], unlabelled: Sequence[Path]) -> Amount | None:
    """Return what there is to do; None where no photograph can be read."""
    areas, aspects = [], []
    for sample in train.samples[:: max(1, len(train) // _MOST_PHOTOS)]:
        try:
            height, width = read_size(sample.image)
        except DataError:
            continue
        areas.append(height * width / MEGA)
        aspects.append(min(height, width) / max(height, width))
    if not areas:
        return None
    labels = sum(len(sample.labels) for sample in train) / len(train)
    held = sum(map(len, held_out))
    area, aspect = float(np.mean(areas)), float(np.mean(aspects))
    return Amount(len(train), held, len(unlabelled), area, labels, len(train.classes), aspect)


def measured(settings: Mapping[str, Any], names: Sequence[str], train: ImageSet, amount: Amount) -> Speeds:
    """Return the speeds that the stages named depend on; the others are 0."""
    classifier: TrainClsSettings = settings["train-cls"]
    masks: MakeMasksSettings = settings["make-masks"]
    computes = any(name not in ("check-data", "report") for name in names)
    refines = "make-masks" in names and masks.refine != "none"
    refines = refines or ("make-seeds" in names and settings["make-seeds"].choose)
    refines = refines or ("train-seg" in names and settings["train-seg"].crf)
    segments = "train-seg" in names or ("make-masks" in names and masks.self_epochs > 0)
    forward, step = _network(classifier) if computes else (0.0, 0.0)
    return Speeds(
        forward=forward,
        step=step,
        segmenting=_segmenter(classifier, settings["train-seg"], amount) if segments else 0.0,
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
        network = build_backbone(settings.backbone, stride=int(settings.stride))
    if settings.weights != "none":
        network.freeze_statistics()
        network.freeze_stem()
    on_device(network, device)
    images = _crops(settings.crop, settings.batch_size, device)

    def forward() -> None:
        with torch.inference_mode(), autocast(device, precision):
            network(images)
        _wait(device)

    def step() -> None:
        with autocast(device, precision):
            loss = network(images).float().mean()
        loss.backward()
        _wait(device)

    return _timed(forward) / _area(images), _timed(step) / _area(images)


def _segmenter(classifier: TrainClsSettings, settings: TrainSegSettings, amount: Amount) -> float:
    """Return the seconds per megapixel of a training step of the segmenter."""
    device = choose_device(settings.device)
    precision = choose_precision(settings.precision, device)
    with torch.random.fork_rng(devices=[]):
        name = settings.backbone or classifier.backbone
        backbone = build_backbone(name, stride=int(settings.stride), dilation="full")
        backbone.freeze_statistics()
        segmenter = build_segmenter(settings.network, backbone, amount.classes + 1, msc=settings.msc)
        on_device(segmenter, device)
        freeze_stages(segmenter, settings.freeze_stages)
        segmenter.train()
        images = _crops(settings.crop, settings.batch_size, device)
        masks = torch.zeros(len(images), *images.shape[2:], dtype=torch.long, device=device)

        def step() -> None:
            with autocast(device, precision):
                maps = segmenter(images)
            segmentation_loss(maps, masks, stride=settings.loss_stride, balanced=settings.balanced).backward()  # type: ignore[no-untyped-call]
            _wait(device)

        return _timed(step) / _area(images)


def _crops(side: int, batch_size: int, device: torch.device) -> torch.Tensor:
    """Return a batch of training crops; of fewer megapixels at once, each would take longer."""
    side = min(side, 512)
    batch = max(2, min(batch_size, round(_AT_ONCE * MEGA / side**2)))
    return torch.zeros(batch, 3, side, side, device=device).contiguous(memory_format=torch.channels_last)


def _area(images: torch.Tensor) -> float:
    return images.numel() / 3 / MEGA


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
    count = max(1, round(amount.labels))
    refined: list[tuple[float, float]] = []
    for sample in train.samples[:: max(1, len(train) // _MOST_REFINED)]:
        try:
            pixels = fitted(read_image(sample.image), _LONG_SIDE)
        except DataError:
            continue
        height, width = pixels.shape[:2]
        scores = np.random.default_rng(0).random((count, 4, 4), dtype=np.float32)
        cells = -(-height // STRIDE), -(-width // STRIDE)
        maps = np.stack([cv2.resize(one, cells[::-1], interpolation=cv2.INTER_CUBIC).clip(0, 1) for one in scores])
        begun = time.perf_counter()
        SeedRefiner(pixels, Seed(np.arange(count), maps, (height, width))).masks((0.6, 0.4))
        refined.append((time.perf_counter() - begun, height * width / MEGA))
    later = refined[1:] or refined  # the first loads what was compiled
    return sum(seconds for seconds, _ in later) / sum(area for _, area in later) if later else 0.0


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
