"""What a segmenter's backbone starts from: the run's classifier, that one's own initial weights, or others."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from recam_cli.core.errors import DataError, UsageError
from recam_cli.core.models.backbones import Backbone, build_backbone
from recam_cli.core.models.classifier_files import run_classifier
from recam_cli.core.models.weights import find_weights
from recam_cli.core.runs.run import Run

CLASSIFIER = "classifier"
WEIGHTS = "weights"


@dataclass(frozen=True)
class Start:
    """Initial weights of a backbone.

    Attributes:
        backbone: registry name.
        state: torchvision's state dict, or None.
        stages: state dict of a `Backbone` of ours, or None; with neither the weights are random.
        origin: where they came from, for people.
        identity: what tells them from others: their file's hash, or for random ones a word.
    """

    backbone: str
    state: dict[str, Tensor] | None
    stages: dict[str, Tensor] | None
    origin: str
    identity: str

    @property
    def trained(self) -> bool:
        """Whether the weights come from earlier training, so that batch norm keeps their statistics."""
        return self.state is not None or self.stages is not None


def resolve_backbone(run: Run, wanted: str | None) -> str:
    """Return the backbone's name: the wanted one, or the run's classifier's.

    Raises:
        UsageError: neither is known.
    """
    name = wanted or _of_classifier(run, "backbone")
    if name is None:
        raise UsageError(f"{run.path} has no classifier whose backbone could be taken", remedy="Give --backbone")
    return name


def find_start(run: Run, backbone: str, init: str, method: str) -> Start:
    """Return the initial weights named by `init`.

    Args:
        run: the run.
        backbone: registry name.
        init: "classifier" (the run's, of `method`), "weights" (what that classifier started from; a setting
            of train-cls), or whatever `find_weights` takes.
        method: "cam" or "recam".

    Raises:
        UsageError: `init` is none of these, or asks the run for another backbone's weights.
        RunError: the run's classifier is missing or has changed.
        DataError: a weights file cannot be used.
    """
    if init == CLASSIFIER:
        return _classifier_start(run, backbone, method)
    source = init
    if init == WEIGHTS:
        source = _of_classifier(run, "weights") or "imagenet"
        trained = _of_classifier(run, "backbone")
        if source not in ("imagenet", "none") and trained not in (None, backbone):
            raise UsageError(
                f"the run's classifier started from {source}, weights of {trained}, not of {backbone}",
                remedy="Name others with --init",
            )
    found = find_weights(backbone, source)
    return Start(backbone, found.state, None, found.origin, found.identity)


def start_backbone(start: Start, stride: int, seed: int) -> Backbone:
    """Build the backbone, dilated in full as DeepLab's, with its initial weights; batch norm frozen if trained.

    Raises:
        DataError: the weights do not fit.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            backbone = build_backbone(start.backbone, stride=stride, dilation="full", state=start.state)
        except ValueError as error:
            raise DataError(f"{start.origin}: {error}", remedy="Choose the fitting --backbone or --init") from None
    if start.stages is not None:
        backbone.load_state_dict(start.stages)
    if start.trained:
        backbone.freeze_statistics()
    return backbone


def _classifier_start(run: Run, backbone: str, method: str) -> Start:
    classifier, _, digest = run_classifier(run, method, torch.device("cpu"))
    if classifier.backbone.name != backbone:
        raise UsageError(
            f"--init classifier: the run's is a {classifier.backbone.name}, not a {backbone}",
            remedy="Leave --backbone out, or choose another --init",
        )
    return Start(backbone, None, classifier.backbone.state_dict(), f"the run's {method} classifier", digest)


def _of_classifier(run: Run, setting: str) -> str | None:
    entry = run.entry("train-cls")
    value = entry.settings.get(setting) if entry is not None else None
    return value if isinstance(value, str) else None
