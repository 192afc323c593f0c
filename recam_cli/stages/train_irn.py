"""Part of make-masks: the boundary network, trained on confident labels; for instance maps, with its other branch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from recam_cli.core.errors import DataError
from recam_cli.core.hardware import choose_device, choose_precision, prepare_process
from recam_cli.core.models.backbones import build_backbone
from recam_cli.core.models.boundary_files import FOLDER, NAME, boundary_on, load_boundary, save_boundary
from recam_cli.core.models.irnet import BoundaryNet
from recam_cli.core.models.segmenter_start import Start, find_start, resolve_backbone
from recam_cli.core.runs.files import sha256_of
from recam_cli.core.runs.run import stage_fingerprint
from recam_cli.core.settings.declare import part_of
from recam_cli.core.settings.make_masks import TrainBranchesSettings, TrainIrnSettings
from recam_cli.core.settings.resolve import Resolved
from recam_cli.core.training.boundary_training import boundary_augmentation, train_boundary
from recam_cli.core.training.loader import TrainingImages
from recam_cli.stages.mask_work import MaskWork

STAGE = "train-irn"
_STRIDE = 16


def run(work: MaskWork, *, labels: Path) -> tuple[BoundaryNet, Path]:
    """Train the boundary network, or load it where it has been trained with the same settings on the same labels.

    One that was trained with its displacement branch serves where that is not asked for, too.

    Args:
        work: the call of make-masks.
        labels: folder of its confident labels.

    Returns:
        The network, in evaluation mode on the device asked for, and its file.

    Raises:
        UsageError: settings that contradict each other, or an absent device.
        DataError: weights, an image or a label map cannot be used.
        TrainingError: the loss became NaN or infinite.
    """
    run, reporter, images, suffix = work.run, work.reporter, work.images, work.suffix
    prepare_process()
    settings = _settings(work, branches=work.settings.instances)
    device = choose_device(settings.device)
    augmentation = boundary_augmentation(settings)
    name = STAGE + suffix
    start = find_start(run, resolve_backbone(run, None), settings.irn_init, settings.method)
    inputs = {
        f"confident-labels{suffix}": run.require(f"confident-labels{suffix}").fingerprint,
        "weights": start.sha256 or start.origin,
    }
    path = run.path / f"{FOLDER}{suffix}" / NAME
    serve = {stage_fingerprint(name, s, inputs) for s in (settings, _settings(work, branches=True))}
    done = run.entry(name)
    served = done is not None and done.fingerprint in serve and path.is_file()
    if done is not None and served and sha256_of(path) == done.outputs["irn"].sha256:
        reporter.info(f"Boundary network: kept {path}")
        return load_boundary(path, device), path
    net = boundary_on(_build(start, settings.seed, work.settings.instances), device)
    samples = tuple(replace(sample, mask=labels / f"{sample.id}.png") for sample in images)
    data = TrainingImages(samples, images.targets(), augmentation, settings.seed, settings.max_pixels, masks=True)
    with run.stage(name, Resolved(settings, work.resolved.sources), inputs=inputs, device=str(device)) as entry:
        reporter.info(f"Boundary network on {len(images)} images, its frozen backbone from {start.origin}")
        last = train_boundary(
            net,
            data,
            settings,
            device=device,
            precision=choose_precision(settings.precision, device),
            workers=settings.workers,
            reporter=reporter,
            log=lambda **values: run.log(stage=name, **values),
            displacement_lr=work.settings.displacement_lr,
        )
        save_boundary(path, net, epochs=settings.irn_epochs, images=len(images))
        entry.metrics |= last
        entry.outputs["irn"] = run.output_of_file(path)
    return net.eval(), path


def _settings(work: MaskWork, *, branches: bool) -> TrainIrnSettings:
    if branches:
        return part_of(TrainBranchesSettings, work.settings, workers=work.workers, instances=True)
    return part_of(TrainIrnSettings, work.settings, workers=work.workers)


def _build(start: Start, seed: int, displacement: bool) -> BoundaryNet:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            backbone = build_backbone(start.backbone, stride=_STRIDE, state=start.state)
        except ValueError as error:
            raise DataError(f"{start.origin}: {error}", remedy="Choose another --irn-init") from None
    if start.stages is not None:
        backbone.load_state_dict(start.stages)
    net = BoundaryNet(backbone, displacement=displacement)
    net.reset(torch.Generator().manual_seed(seed))
    return net
