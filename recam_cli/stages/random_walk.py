"""Part of make-masks: seeds spread by the random walk within learned boundaries, kept as seeds of their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from recam_cli.core.affinity.spread import spread_seeds
from recam_cli.core.cams.store import write_seed
from recam_cli.core.data.images import read_mask
from recam_cli.core.data.reading import PhotoBatch, read_batches
from recam_cli.core.data.samples import Sample
from recam_cli.core.data.transforms import resized, to_tensor
from recam_cli.core.hardware import autocast, choose_device, choose_precision
from recam_cli.core.models.irnet import BoundaryNet
from recam_cli.core.runs.items import ItemFolder
from recam_cli.core.runs.run import result_settings, stage_fingerprint
from recam_cli.core.settings.declare import part_of
from recam_cli.core.settings.make_masks import RandomWalkSettings
from recam_cli.core.settings.resolve import Resolved
from recam_cli.stages import confident_labels
from recam_cli.stages.mask_work import MaskWork

STAGE = "random-walk"
FOLDER = "walked"


def run(work: MaskWork, *, net: BoundaryNet, digest: str, floor: float, labels: Path | None = None) -> Path:
    """Spread the seeds of a split; those there already, of the same settings, seeds and network, are kept.

    Args:
        work: the call of make-masks.
        net: the boundary network, on its device.
        digest: of its weights, as from `boundary_digest`.
        floor: what is taken off the seeds' scores before.
        labels: folder of confident labels, which walk with the seeds; None: the seeds alone.

    Returns:
        The folder of walked seeds, `<id>.npz`.

    Raises:
        DataError: an image or a seed cannot be used.
    """
    run, reporter, images = work.run, work.reporter, work.images
    settings = part_of(RandomWalkSettings, work.settings, workers=work.workers)
    device = choose_device(settings.device)
    inputs = work.inputs | {"irn": digest, "floor": f"{floor:.4f}"}
    if labels is not None:
        made_by = confident_labels.STAGE + work.suffix
        inputs |= {made_by: run.require(made_by).fingerprint}
    name = STAGE + work.suffix
    folder = ItemFolder.open(
        run.path / f"{FOLDER}{work.suffix}",
        stage_fingerprint(name, settings, inputs),
        result_settings(settings, inputs),
        True,  # an intermediate result: other settings of make-masks ask for others, and the old ones are kept
        "walked seeds",
        suffix=".npz",
    )
    with run.stage(name, Resolved(settings, work.resolved.sources), inputs=inputs, device=str(device)) as entry:
        folder.begin()
        todo = [sample for sample in images if not folder.done(sample.id)]
        read = read_batches(todo, settings.walk_batch_size, max_pixels=settings.max_pixels, workers=work.workers)
        with reporter.track("Random walk", len(images)) as progress:
            progress.advance(len(images) - len(todo))
            for batch in read:
                _walk(batch, work, folder, net, settings, floor, labels)
                progress.advance(len(batch.samples))
        entry.metrics |= {"images": len(images), "made": len(todo)}
        entry.notes |= {"floor": floor}
        entry.outputs[FOLDER] = run.output_of_folder(folder.path, "*.npz")
    return folder.path


@torch.inference_mode()
def _walk(
    batch: PhotoBatch,
    work: MaskWork,
    folder: ItemFolder,
    net: BoundaryNet,
    settings: RandomWalkSettings,
    floor: float,
    labels: Path | None,
) -> None:
    device = next(net.parameters()).device
    pixels = enlarged(batch.images, settings.walk_scale).to(device)
    if device.type != "mps":
        pixels = pixels.contiguous(memory_format=torch.channels_last)
    with autocast(device, choose_precision(settings.precision, device)):
        boundaries = net.boundaries(pixels).float()
    found = [work.seed_of(sample, image) for sample, image in zip(batch.samples, batch.images, strict=True)]
    walked = spread_seeds(
        found,
        boundaries,
        floor=floor,
        labels=None if labels is None else [_label_of(labels, s, settings.max_pixels) for s in batch.samples],
        radius=settings.walk_radius,
        beta=settings.walk_beta,
        steps=settings.walk_steps,
    )
    for sample, seed in zip(batch.samples, walked, strict=True):
        write_seed(folder.file(sample.id), seed)


def enlarged(images: Sequence[np.ndarray], scale: float) -> Tensor:
    """Return photographs of one size, uint8 (H, W, 3), as normalised (B, 3, scale·H, scale·W), 1 pixel at least."""
    height, width = (max(1, round(scale * side)) for side in images[0].shape[:2])
    return torch.stack([to_tensor(image if scale == 1 else resized(image, (height, width))) for image in images])


def _label_of(folder: Path, sample: Sample, max_pixels: int) -> np.ndarray:
    return read_mask(folder / f"{sample.id}.png", max_pixels=max_pixels)
