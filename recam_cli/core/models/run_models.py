"""The trained networks of a run, checked against its manifest and ready to look at any photograph."""

from __future__ import annotations

import torch

from recam_cli.core.cams.explain import MappedClassifier
from recam_cli.core.hardware import under_autocast
from recam_cli.core.models.classifier_files import run_classifier
from recam_cli.core.models.segmenter_files import FOLDER, load_segmenter
from recam_cli.core.models.segmenters import Segmenter
from recam_cli.core.runs.run import Run
from recam_cli.core.runs.variants import command
from recam_cli.core.runs.verify import verified_file
from recam_cli.core.settings.make_seeds import MakeSeedsSettings


def run_mapped_classifier(run: Run, method: str, device: torch.device, precision: str) -> MappedClassifier:
    """Return the run's classifier of `method`, whose maps are read with the weights of the run's seeds.

    Before there are seeds, FC1 ⊙ FC2 for "recam" and FC1 for "cam", as make-seeds chooses.

    Raises:
        RunError: as `classifier_files.run_classifier`, or the manifest names no such weights.
    """
    classifier, classes, _ = run_classifier(run, method, device)
    kind = "product" if method == "recam" else "fc1"
    for stage in ("make-seeds", "make-seeds-cam"):
        entry = run.entry(stage)
        if entry is not None and entry.notes.get("method") == method:
            noted = run.recorded(MakeSeedsSettings, {"seed_weights": entry.notes.get("seed_weights", kind)})
            kind = noted.seed_weights if noted.seed_weights != "auto" else kind

    features = under_autocast(classifier.backbone, device, precision)
    return MappedClassifier(features, classes, classifier.seed_weights(kind), classifier.fc1.weight.detach())


def run_segmenter(run: Run, suffix: str, device: torch.device) -> tuple[Segmenter, tuple[str, ...]] | None:
    """Return the run's trained segmenter and its class names, or None before train-seg has finished.

    Args:
        run: the run.
        suffix: "" for the run's own, "-cam" for the one trained on masks of its plain CAM.
        device: where it computes.

    Raises:
        RunError: its file is missing or has changed since train-seg wrote it.
        DataError: its file is damaged.
    """
    stage = f"train-seg{suffix}"
    if run.entry(stage) is None:
        return None
    remedy = f"Restore it, or run: {command(run, 'train-seg', suffix, overwrite=True)}"
    return load_segmenter(verified_file(run, stage, FOLDER, remedy=remedy)[0], device)


def segmenter_hash(run: Run, suffix: str) -> str:
    """Return the hash of the segmenter that `run_segmenter` reads."""
    return str(run.require(f"train-seg{suffix}").outputs[FOLDER].sha256)
