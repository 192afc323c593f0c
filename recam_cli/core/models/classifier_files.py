"""The classifier's files in a run: `classifier/cam.safetensors` (phase 1) and `recam.safetensors` (phase 2)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from recam_cli.core.errors import DataError, RunError
from recam_cli.core.hardware import on_device
from recam_cli.core.models.checkpoint import load_into, read_about, save_model
from recam_cli.core.models.classifier import Classifier
from recam_cli.core.models.header import class_names, rebuilt_backbone
from recam_cli.core.runs.run import Run
from recam_cli.core.runs.verify import verified_file

FOLDER = "classifier"


def classifier_path(run: Run, method: str) -> Path:
    """Return where the classifier of `method` ("cam": after phase 1, "recam": after phase 2) lies."""
    return run.path / FOLDER / f"{method}.safetensors"


def save_classifier(path: Path, classifier: Classifier, classes: tuple[str, ...]) -> None:
    """Write a classifier with what is needed to rebuild it."""
    about = {
        "kind": "classifier",
        "backbone": classifier.backbone.name,
        "stride": classifier.backbone.stride,
        "classes": list(classes),
    }
    save_model(path, classifier, about)


def load_classifier(path: Path, device: torch.device) -> tuple[Classifier, tuple[str, ...]]:
    """Read a classifier written by `save_classifier`, in evaluation mode with batch norm folded.

    Returns:
        The classifier on `device` and its class names.

    Raises:
        DataError: missing, damaged, or another network's.
    """
    about = read_about(path)
    if about.get("kind") != "classifier":
        raise DataError(f"{path}: not a classifier but a {about.get('kind', 'file of unknown kind')}")
    classes = class_names(about, path)
    classifier = Classifier(rebuilt_backbone(about, path), len(classes))
    load_into(path, classifier)
    classifier.backbone.freeze_statistics()
    return on_device(classifier.eval(), device), classes


def run_classifier(run: Run, method: str, device: torch.device) -> tuple[Classifier, tuple[str, ...], str]:
    """Read the run's classifier of `method` after checking its hash against the manifest.

    Returns:
        The classifier, its class names and the file's SHA-256.

    Raises:
        RunError: train-cls has not finished, made no such classifier, or the file has changed since.
    """
    entry = run.require("train-cls")
    if method not in entry.outputs:
        raise RunError(
            f"{run.path}: its classifier was trained with --method cam and has no ReCAM part",
            remedy="Train one with: recam train-cls --method recam",
        )
    remedy = "Restore it, or start a new run with: recam train-cls"
    path, digest = verified_file(run, "train-cls", method, remedy=remedy)
    classifier, classes = load_classifier(path, device)
    return classifier, classes, digest


def describe_model(classifier: Classifier) -> dict[str, Any]:
    """Return JSON-ready facts about a classifier for the manifest."""
    return {
        "backbone": classifier.backbone.name,
        "stride": classifier.backbone.stride,
        "channels": classifier.backbone.out_channels,
        "num_classes": classifier.num_classes,
        "parameters": sum(p.numel() for p in classifier.parameters()),
    }
