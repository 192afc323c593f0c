"""Part of make-masks: the objects of each mask told apart, by IRN's displacement field and walked parts of the seed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from recam_cli.core.affinity.instance_files import read_listed, write_instances
from recam_cli.core.affinity.instances import group_cells, instances_of, walk_parts
from recam_cli.core.data.images import read_mask
from recam_cli.core.data.reading import PhotoBatch
from recam_cli.core.data.transforms import enlarged
from recam_cli.core.footprint import Looking
from recam_cli.core.hardware import autocast, choose_device, choose_precision, under_autocast
from recam_cli.core.models.irnet import BoundaryNet
from recam_cli.core.runs.commits import Commits
from recam_cli.core.runs.items import ItemFolder
from recam_cli.core.runs.run import result_settings, stage_fingerprint
from recam_cli.core.settings.declare import part_of
from recam_cli.core.settings.make_masks import InstancesSettings
from recam_cli.core.settings.resolve import Resolved
from recam_cli.stages.mask_work import InstancesResult, MaskWork
from recam_cli.stages.random_walk import parts_of_photographs

STAGE = "instances"
FOLDER = "instances"


def run(work: MaskWork, *, net: BoundaryNet, masks: Path, floor: float, inputs: Mapping[str, str]) -> InstancesResult:
    """Make the instance maps of a split; those there already, made with the same settings of the same, are kept.

    Args:
        work: the call of make-masks.
        net: the boundary network with its displacement branch, on its device.
        masks: folder of the split's masks.
        floor: what is taken off the seeds' scores before the walk.
        inputs: what the maps are made from: masks, network and floor.

    Raises:
        RunError: the folder holds maps of other settings, and they may not be moved.
        DataError: an image, a seed or a mask cannot be used.
    """
    run, images = work.run, work.images
    settings = part_of(InstancesSettings, work.settings, workers=work.workers)
    name = STAGE + work.suffix
    folder = ItemFolder.open(
        run.path / f"{FOLDER}{work.suffix}",
        stage_fingerprint(name, settings, inputs),
        result_settings(settings, inputs),
        work.settings.overwrite,
        "instance maps",
        suffix=".png",
    )
    device = choose_device(settings.device)
    with run.stage(name, Resolved(settings, work.resolved.sources), inputs=inputs, device=str(device)) as entry:
        moved = folder.begin(work.reporter)
        look = under_autocast(net.boundaries_with_field, device, choose_precision(settings.precision, device))
        looking = Looking.by(look, device, settings.memory, STAGE, "use a smaller --walk-side or --walk-scale")
        made = work.over_batches(
            folder,
            "Instances",
            settings.walk_batch_size,
            lambda batch: parts_of_photographs(batch, looking, settings),
            lambda part, commits: _tell_apart(part, work, folder, net, settings, masks, floor, commits),
        )
        found = sum(len(read_listed(folder.file(sample.id).with_suffix(".json"))) for sample in images)
        entry.metrics |= {"images": len(images), "made": made, "instances": found}
        entry.outputs["maps"] = run.output_of_folder(folder.path, "*.png")
        entry.outputs["lists"] = run.output_of_folder(folder.path, "[!.]*.json")
    return InstancesResult(folder.path, made, len(images) - made, found, moved)


@torch.inference_mode()
def _tell_apart(
    batch: PhotoBatch,
    work: MaskWork,
    folder: ItemFolder,
    net: BoundaryNet,
    settings: InstancesSettings,
    masks: Path,
    floor: float,
    commits: Commits,
) -> None:
    device = next(net.parameters()).device
    pixels = enlarged(batch.images, settings.walk_scale, device, side=settings.walk_side)
    with autocast(device, choose_precision(settings.precision, device)):
        boundaries, fields = net.boundaries_with_field(pixels)
    for sample, image, size, boundary, field in zip(*batch, boundaries.float(), fields, strict=True):
        parts = walk_parts(
            work.seed_of(sample, image, size),
            group_cells(field, steps=settings.displacement_steps, centroid=settings.centroid_radius),
            boundary,
            floor=floor,
            radius=settings.walk_radius,
            beta=settings.beta_of("irn"),
            steps=settings.walk_steps,
        )
        mask = read_mask(masks / f"{sample.id}.png", max_pixels=settings.max_pixels)
        found = instances_of(mask, parts, fragment=settings.instance_fragment, work_side=settings.work_side)
        with commits.item():
            write_instances(folder.file(sample.id), found, work.images.classes)
