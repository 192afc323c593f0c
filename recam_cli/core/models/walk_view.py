"""Masks of any photograph as make-masks made those of a run by a random walk: the same labels, walk, cut and CRF."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recam_cli.core.affinity.spread import WalkNet, spread_seeds
from recam_cli.core.cams.store import Seed
from recam_cli.core.data.transforms import enlarged
from recam_cli.core.errors import RunError
from recam_cli.core.hardware import autocast
from recam_cli.core.masks.confident import ConfidentThresholds, confident_labels
from recam_cli.core.masks.confident_alphas import AgreeingAlphas
from recam_cli.core.masks.job import refinement_of
from recam_cli.core.masks.label_job import LabelRule
from recam_cli.core.masks.refine import Refinement, refine_seed
from recam_cli.core.masks.self_training import JOINED_THRESHOLD
from recam_cli.core.models.boundary_files import boundary_digest
from recam_cli.core.models.branch_files import AFFINITY, BOUNDARY, load_branch
from recam_cli.core.models.segmenter_files import load_segmenter
from recam_cli.core.models.segmenters import Segmenter
from recam_cli.core.models.self_taught import SELF, join
from recam_cli.core.runs.files import sha256_of
from recam_cli.core.runs.run import Run
from recam_cli.core.runs.verify import verified_file
from recam_cli.core.settings.irn import walk_kind
from recam_cli.core.settings.make_masks import MakeMasksSettings

_RESTORE = "Restore it, or make the masks anew: recam make-masks --overwrite, or say --refine crf"


@dataclass(frozen=True, eq=False)
class WalkedMask:
    """Makes the mask of one photograph.

    Attributes:
        net: guides the walk, on `device`.
        device: where the walk goes.
        precision: the network's, "fp32" or "bf16".
        settings: those of the run's masks.
        floor: taken off the seed's scores before.
        alpha: the walking background's exponent, or None.
        rule: makes the confident labels that walk with the seed; None where the seed walks alone.
        cut: the background's score after the walk.
        taught: the segmenter of self-training, which has a say in the mask; None where there was none.
    """

    net: WalkNet
    device: torch.device
    precision: str
    settings: MakeMasksSettings
    floor: float
    alpha: float | None
    rule: LabelRule | None
    cut: float
    taught: Segmenter | None = None

    @torch.inference_mode()
    def __call__(self, image: np.ndarray, seed: Seed) -> np.ndarray:
        """Return the mask, uint8 (H, W), of `image` uint8 (H, W, 3); `settings.ignore_below` is not applied."""
        settings = self.settings
        beta = settings.beta_of(str(walk_kind(settings.refine)))
        with autocast(self.device, self.precision):
            pixels = enlarged([image], settings.walk_scale, self.device, side=settings.walk_side)
            walk = self.net.walk(pixels, radius=settings.walk_radius, beta=beta)
        labels = None if self.rule is None else [self.rule(image, seed)]
        walked = spread_seeds(
            [seed], walk, floor=self.floor, alpha=self.alpha, labels=labels, steps=settings.walk_steps
        )[0]
        cut = self.cut
        if self.taught is not None:
            walked = join([walked], [image], self.taught, cut, settings.self_weight, self.precision)[0]
            cut = JOINED_THRESHOLD
        if settings.refine.endswith("crf"):
            return refine_seed(image, walked, cut, refinement_of(settings))
        return walked.label(cut)


def walked_mask(run: Run, suffix: str, device: torch.device, precision: str) -> WalkedMask | None:
    """Return what makes masks as the run's were made, or None where these are missing or did without a walk.

    Args:
        run: the run.
        suffix: of the variant, "" or "-cam".
        device: where the walk goes.
        precision: the network's.

    Raises:
        RunError: the network is missing, or the manifest does not say how the masks were made.
        DataError: the network's file is damaged.
    """
    masks = run.entry(f"make-masks{suffix}")
    kind = None if masks is None else walk_kind(str(masks.settings.get("refine", "none")))
    if masks is None or kind is None:
        return None
    settings = run.recorded(MakeMasksSettings, masks.settings)
    walk = run.entry(f"random-walk{suffix}")
    if walk is None or walk.fingerprint != masks.inputs.get(f"random-walk{suffix}"):
        raise RunError(
            f"{run.path}: the parts of its masks were made anew since, or not to the end",
            remedy="Make the masks anew: recam make-masks --overwrite, or say --refine crf",
        )
    try:
        rule, floor = _rule(run, suffix, kind, settings, float(walk.notes["floor"]))
        cut = float(masks.notes["walk_threshold"])
        return WalkedMask(
            net=_network(run, suffix, kind, settings, device),
            device=device,
            precision=precision,
            settings=settings,
            floor=floor,
            alpha=settings.psa_walk_alpha if kind == AFFINITY.name and settings.walk_sources == "seeds" else None,
            rule=rule if settings.walk_sources == "labels" else None,
            cut=cut,
            taught=_taught(run, suffix, device) if settings.self_epochs else None,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"{run.path}: the manifest does not say how its masks were made ({error})",
            remedy="Make them anew: recam make-masks --overwrite, or say --refine crf",
        ) from None


def _rule(
    run: Run, suffix: str, kind: str, settings: MakeMasksSettings, floor: float
) -> tuple[LabelRule | None, float]:
    """Return how confident labels are made, None where none were, and the floor."""
    if kind == AFFINITY.name:
        return AgreeingAlphas(settings.psa_low_alpha, settings.psa_high_alpha, floor, settings.crf), floor
    labels = run.entry(f"confident-labels{suffix}")
    if labels is None:
        return None, floor
    thresholds = ConfidentThresholds(high=float(labels.notes["high"]), low=float(labels.notes["low"]))
    return partial(confident_labels, thresholds=thresholds, how=Refinement(backend=settings.crf)), floor


def _network(run: Run, suffix: str, kind: str, settings: MakeMasksSettings, device: torch.device) -> WalkNet:
    of: Any = AFFINITY if kind == AFFINITY.name else BOUNDARY
    given = settings.psa_weights if kind == AFFINITY.name else settings.irn_weights
    path = Path(given) if given is not None else of.file(run.path, suffix)
    if not path.is_file():
        raise RunError(
            f"{path}: the {of.describe} of the run's masks is missing",
            remedy="Make them anew: recam make-masks --overwrite, or say --refine crf",
        )
    net: WalkNet = load_branch(path, of, device)
    walk = run.require(f"random-walk{suffix}")
    if walk.inputs.get(kind) != (boundary_digest(path) if kind == BOUNDARY.name else sha256_of(path)):
        raise _changed(path)
    return net


def _taught(run: Run, suffix: str, device: torch.device) -> Segmenter:
    """Return the segmenter that had a say in the run's masks.

    Raises:
        RunError: it is missing or has changed.
        DataError: its file is damaged.
    """
    path, digest = verified_file(run, f"train-{SELF}{suffix}", SELF, remedy=_RESTORE)
    if run.require(f"self-training{suffix}").inputs.get(SELF) != digest:
        raise _changed(path)
    return load_segmenter(path, device)[0]


def _changed(path: Path) -> RunError:
    return RunError(f"{path} has changed since the run's masks were made with it", remedy=_RESTORE)
