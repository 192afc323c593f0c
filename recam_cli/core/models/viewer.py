"""All that `recam visualize` looks at a photograph through: classifier, threshold, dense CRF, segmenter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from recam_cli.core.cams.explain import MappedClassifier
from recam_cli.core.cams.fusion import SCALES
from recam_cli.core.cams.store import Seed
from recam_cli.core.errors import RunError
from recam_cli.core.masks.crf import check_backend
from recam_cli.core.masks.job import refinement_of
from recam_cli.core.masks.refine import refine_seed
from recam_cli.core.metrics.sources import noted_threshold
from recam_cli.core.models.run_models import run_mapped_classifier, run_segmenter
from recam_cli.core.models.segment_inference import predict_image
from recam_cli.core.models.segmenters import Segmenter
from recam_cli.core.models.stock import stock_classifier
from recam_cli.core.models.walk_view import walked_mask
from recam_cli.core.runs.run import Run
from recam_cli.core.runs.variants import Method, seed_method, seen_suffix
from recam_cli.core.settings.declare import settings_of
from recam_cli.core.settings.make_masks import MakeMasksSettings
from recam_cli.core.settings.make_seeds import MakeSeedsSettings
from recam_cli.core.settings.train_seg import TrainSegSettings

DEFAULT_THRESHOLD = 0.4
"""The background's score before the run has made masks and chosen one."""

AS_MASKS = "as the run's masks"
"""Where a threshold comes from that make-masks notes."""

Refine = Callable[[np.ndarray, Seed], np.ndarray]


@dataclass(frozen=True, eq=False)
class View:
    """What was seen in one photograph.

    Attributes:
        seed: its class maps.
        label: the seed's mask, uint8 (H, W); None without a threshold.
        mask: the refined mask; None without the dense CRF.
        prediction: the segmenter's mask; None without a segmenter.
    """

    seed: Seed
    label: np.ndarray | None
    mask: np.ndarray | None
    prediction: np.ndarray | None


@dataclass(frozen=True, eq=False)
class Viewer:
    """What to look through.

    Attributes:
        name: of the classifier, for titles: "CAM", "ReCAM", "ImageNet <backbone>".
        classifier: gives scores and maps.
        scales: of the maps.
        sides: longer sides in pixels of the maps, instead of `scales`; without any these count.
        predict_side: longer side at which the segmenter sees a photograph; 0: its own.
        threshold: the background's score; None gives maps only.
        chosen: where it comes from: "given", "default", or `AS_MASKS` and how they chose it; None without one.
        refine: makes the mask of (image, seed); None leaves it out.
        segmenter: gives the prediction; None leaves it out.
        precision: the segmenter's.
    """

    name: str
    classifier: MappedClassifier
    scales: tuple[float, ...]
    threshold: float | None = None
    chosen: str | None = None
    refine: Refine | None = None
    segmenter: Segmenter | None = None
    precision: str = "fp32"
    sides: tuple[int, ...] = ()
    predict_side: int = 0

    def look(self, image: np.ndarray, classes: Sequence[int]) -> View:
        """Look at a photograph, uint8 (H, W, 3), for the class ids given; the prediction is of all classes."""
        seed = self.classifier.seed(image, classes, scales=self.scales, sides=self.sides)
        label = None if self.threshold is None else seed.label(self.threshold)
        mask = None if self.refine is None else self.refine(image, seed)
        if self.segmenter is None:
            return View(seed, label, mask, None)
        found = predict_image(self.segmenter, image, side=self.predict_side, precision=self.precision)[0]
        return View(seed, label, mask, found)


def stock_viewer(
    backbone: str, source: str, scales: tuple[float, ...] | None, device: torch.device, precision: str
) -> Viewer:
    """Look through a stock ImageNet classifier: maps only. Arguments and errors as `stock.stock_classifier`."""
    classifier = stock_classifier(backbone, source, device)
    return Viewer(f"ImageNet {backbone}", classifier, scales or SCALES, precision=precision)


def run_viewer(
    run: Run,
    method: Method,
    scales: tuple[float, ...] | None,
    threshold: float | None,
    device: torch.device,
    precision: str,
    *,
    refine: Literal["run", "crf", "none"],
) -> Viewer:
    """Look through the networks of a run.

    Args:
        run: with a finished train-cls.
        method: whose maps; "run" for what the classifier was trained as.
        scales: of the maps; None takes those of the run's seeds.
        threshold: the background's score; None takes that of the run's masks.
        device: where the networks compute.
        precision: "fp32" or "bf16".
        refine: what makes a mask: "run" as the run's masks were made, "crf" the dense CRF; "none": none is made.
            "run" is "crf" with a given threshold, and where the run's masks are missing or did without a walk.

    Raises:
        UsageError: the dense CRF is asked for and not installed.
        RunError: a network is missing, has changed, or knows other classes.
    """
    if refine != "none":
        check_backend()
    kind, suffix = seed_method(run, method), seen_suffix(run, method)
    classifier = run_mapped_classifier(run, kind, device, precision)
    value, chosen = _threshold(run, suffix, threshold)
    walked = walked_mask(run, suffix, device, precision) if refine == "run" and threshold is None else None
    found = run_segmenter(run, suffix, device)
    seeds = _seed_settings(run, suffix)
    if found is not None and found[1] != classifier.classes:
        raise RunError(f"{run.path}: its segmenter knows other classes than its classifier")
    return Viewer(
        name={"cam": "CAM", "recam": "ReCAM"}[kind],
        classifier=classifier,
        scales=scales or seeds.scales,
        sides=() if scales else seeds.sides,
        threshold=value,
        chosen=chosen,
        refine=None if refine == "none" else walked or _refiner(run, suffix, value),
        segmenter=found[0] if found is not None else None,
        precision=precision,
        predict_side=_predict_side(run, suffix),
    )


def _threshold(run: Run, suffix: str, given: float | None) -> tuple[float, str]:
    if given is not None:
        return given, "given"
    noted, chosen = noted_threshold(run, f"make-masks{suffix}")
    if noted is None:
        return DEFAULT_THRESHOLD, "default"
    known = f", {chosen}" if chosen not in (None, "given") else ""
    return noted, f"{AS_MASKS}{known}"


def _seed_settings(run: Run, suffix: str) -> MakeSeedsSettings:
    """Return how large the run's seeds saw photographs, published before there are any."""
    entry = run.entry(f"make-seeds{suffix}")
    noted = entry.settings if entry is not None else {}
    return run.recorded(MakeSeedsSettings, {name: noted[name] for name in ("scales", "sides") if name in noted})


def _predict_side(run: Run, suffix: str) -> int:
    entry = run.entry(f"train-seg{suffix}")
    noted = entry.settings if entry is not None else {}
    known = {name: noted[name] for name in ("predict_side",) if name in noted}
    return run.recorded(TrainSegSettings, known).predict_side


def _refiner(run: Run, suffix: str, threshold: float) -> Refine:
    """Return the dense CRF with the parameters of the run's masks, or the default ones before there are any."""
    entry = run.entry(f"make-masks{suffix}")
    noted = entry.settings if entry is not None else {}
    crf = {n for n in settings_of(MakeMasksSettings) if n.startswith(("crf_", "soft_", "unary"))}
    how = refinement_of(run.recorded(MakeMasksSettings, {k: v for k, v in noted.items() if k in crf}))

    def refine(image: np.ndarray, seed: Seed) -> np.ndarray:
        return refine_seed(image, seed, threshold, how)

    return refine
