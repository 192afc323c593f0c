"""A whole run on generated images, made by the real stages in a few seconds: for tests of what comes after them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from recam_cli.core.cams.store import Seed, write_seed
from recam_cli.core.models.backbones import build_backbone
from recam_cli.core.models.segmenter_files import save_segmenter
from recam_cli.core.models.segmenters import build_segmenter
from recam_cli.core.reporter import SilentReporter
from recam_cli.core.runs.run import Run
from recam_cli.core.settings.evaluate import EvaluateSettings
from recam_cli.core.settings.make_masks import MakeMasksSettings
from recam_cli.core.settings.make_seeds import MakeSeedsSettings
from recam_cli.core.settings.resolve import resolve
from recam_cli.core.settings.train_cls import TrainClsSettings
from recam_cli.core.settings.train_seg import TrainSegSettings
from tests.helpers.tiny_data import TINY_CLASSES, make_custom

TINY_THRESHOLD = "0.3"
_TRAIN: dict[str, Any] = {
    "dataset": "custom",
    "backbone": "efficientnet_lite0",
    "weights": "imagenet",
    "seed": 6,  # every class lights up somewhere
    "epochs": 1,
    "recam_epochs": 1,
    "batch_size": 2,
    "recam_batch_size": 2,
    "crop": 32,
    "long_side": "32,48",
    "lr": 0.01,
    "lr_fc1": 0.01,
    "device": "cpu",
    "precision": "fp32",
    "workers": 0,
}


def make_run(
    root: Path, *, images: int = 6, masks: bool = True, plain_cam: bool = False, data: Path | None = None, **train: Any
) -> Run:
    """Make `root/data` (custom, a third of the images held out) and `root/run`: classifier, seeds, masks.

    Args:
        root: folder to fill.
        images: how many.
        masks: whether seeds and masks (threshold 0.3, no CRF) are made.
        plain_cam: whether those of plain CAM are made, too.
        data: a custom data set to take instead.
        train: settings of train-cls that differ from the tiny ones, e.g. method="cam".
    """
    from recam_cli.stages import make_masks, make_seeds, train_cls

    data = data or make_custom(root / "data", images)
    quiet = SilentReporter()
    flags = {**_TRAIN, "data_root": data, **train}
    train_cls.run(resolve(TrainClsSettings, flags=flags), root / "run", quiet)
    common = {"dataset": "custom", "data_root": data}
    seeds = {**common, "scales": "1", "device": "cpu", "precision": "fp32", "workers": 0}
    cut = {**common, "threshold": TINY_THRESHOLD, "refine": "none", "workers": 0}
    for method in (*(("run",) if masks else ()), *(("cam",) if plain_cam else ())):
        run = Run.open(root / "run")
        make_seeds.run(resolve(MakeSeedsSettings, flags={**seeds, "method": method}), run, quiet)
        make_masks.run(resolve(MakeMasksSettings, flags={**cut, "method": method}), run, quiet)
    return Run.open(root / "run")


def evaluate_run(run: Run, **flags: Any) -> None:
    """Evaluate seeds or masks of a run from `make_run`."""
    from recam_cli.stages import evaluate

    data = {"dataset": "custom", "data_root": run.path.parent / "data", "thresholds": 10}
    if flags.get("of", "seeds") != "seeds":
        del data["thresholds"]
    evaluate.run(resolve(EvaluateSettings, flags={**data, **flags}), run, SilentReporter())


def put_seed(run: Path, image: str, seed: Seed) -> None:
    """Give an image another seed, as if make-seeds had written it."""
    write_seed(run / "seeds" / f"{image}.npz", seed)
    there = Run.open(run)
    there.manifest.stages["make-seeds"].outputs["seeds"] = there.output_of_folder(run / "seeds", "*.npz")
    there.manifest.save(run)


def add_segmenter(run: Run, *, classes: tuple[str, ...] = TINY_CLASSES, seed: int = 0) -> Path:
    """Give the run an untrained segmenter and a finished train-seg; returns the segmenter's file."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        backbone = build_backbone("mobilenet_v2", stride=16, dilation="full")
        segmenter = build_segmenter(
            "deeplabv2", backbone, len(classes) + 1, generator=torch.Generator().manual_seed(seed)
        )
    path = run.path / "segmenter" / "deeplabv2.safetensors"
    with run.stage("train-seg", resolve(TrainSegSettings, flags={})) as entry:
        save_segmenter(path, segmenter, classes)
        entry.outputs["segmenter"] = run.output_of_file(path)
    return path


def record_classifier(path: Path, *, method: str = "recam") -> Run:
    """Start a run at `path` whose train-cls counts as finished, without any training or files."""
    run = Run.create(path)
    with run.stage("train-cls", resolve(TrainClsSettings, flags={"dataset": "custom", "method": method})):
        pass
    return run
