"""Part of make-masks: seeds spread by a random walk that a network guides, kept as seeds of their own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from recam_cli.core.affinity.spread import WalkNet, spread_seeds
from recam_cli.core.cams.store import Seed
from recam_cli.core.data.images import read_mask
from recam_cli.core.data.reading import PhotoBatch
from recam_cli.core.data.transforms import enlarged, enlarged_size
from recam_cli.core.footprint import Looking
from recam_cli.core.hardware import autocast, choose_device, choose_precision, computed_with
from recam_cli.core.memory import parts_of
from recam_cli.core.runs.stage_facts import TOGETHER_NOTE
from recam_cli.core.settings.declare import part_of
from recam_cli.core.settings.make_masks import RandomWalkSettings
from recam_cli.core.settings.resolve import Resolved
from recam_cli.stages.mask_labels import Labels
from recam_cli.stages.mask_work import MaskWork, write_seeds

STAGE = "random-walk"
FOLDER = "walked"
_MAPS = 6
"""Class maps of a photograph that memory is reckoned for."""


@dataclass(frozen=True)
class Guide:
    """What the walk depends on besides its settings.

    Attributes:
        kind: of walk, "irn" or "psa"; the network is recorded under it.
        net: the network, on its device.
        weights: its file.
        digest: of what of the file the walk depends on.
        floor: what is taken off the seeds' scores before.
        alpha: the walking background's exponent; None where none walks, or labels say how.
        labels: the confident labels, which walk with the seeds if the settings say so; None where none were made.
    """

    kind: str
    net: WalkNet
    weights: Path
    digest: str
    floor: float
    alpha: float | None = None
    labels: Labels | None = None

    def inputs(self) -> dict[str, str]:
        """Return it as what walked seeds depend on, by name."""
        inputs = {self.kind: self.digest, "floor": f"{self.floor:.4f}"}
        return inputs | ({} if self.alpha is None else {"alpha": f"{self.alpha:g}"})


def run(work: MaskWork, guide: Guide) -> Path:
    """Spread the seeds of a split; those there already, of the same settings, seeds and network, are kept.

    Args:
        work: the call of make-masks.
        guide: the network and what goes with it.

    Returns:
        The folder of walked seeds, `<id>.npz`.

    Raises:
        DataError: an image or a seed cannot be used.
    """
    run, reporter, images = work.run, work.reporter, work.images
    settings = part_of(RandomWalkSettings, work.settings, workers=work.workers)
    device = choose_device(settings.device)
    inputs = work.inputs | guide.inputs()
    if work.labels_walk and guide.labels is not None:
        inputs |= {guide.labels.stage: guide.labels.fingerprint}
    name = STAGE + work.suffix
    folder = work.part_folder(name, FOLDER, settings, inputs, "walked seeds", suffix=".npz")
    if work.finished(name, folder) is not None:
        reporter.info(f"Walked seeds: kept {folder.path}")
        return folder.path
    with run.stage(name, Resolved(settings, work.resolved.sources), inputs=inputs, device=str(device)) as entry:
        folder.begin(reporter)
        looking = _looking(guide, settings)
        made = work.over_batches(
            folder,
            "Random walk",
            settings.walk_batch_size,
            lambda batch: parts_of_photographs(batch, looking, settings),
            lambda part, commits: write_seeds(folder, part.samples, _walk(part, work, guide, settings), commits),
        )
        entry.metrics |= {"images": len(images), "made": made}
        entry.notes |= {
            TOGETHER_NOTE: {"pixels": looking.pixels()},
            "floor": guide.floor,
            **computed_with(choose_precision(settings.precision, device)),
        }
        entry.outputs[FOLDER] = run.output_of_folder(folder.path, "*.npz")
    return folder.path


def _looking(guide: Guide, settings: RandomWalkSettings) -> Looking:
    """Return what the walk of a photograph takes, network included."""
    device = choose_device(settings.device)
    precision = choose_precision(settings.precision, device)

    def walk(images: torch.Tensor) -> None:
        with autocast(device, precision):
            way = guide.net.walk(images, radius=settings.walk_radius, beta=settings.beta_of(guide.kind))
        scores = images.new_ones(len(images), _MAPS, *way.grid)
        way.transition.walk(way.start(scores), 2)

    return Looking.by(walk, device, settings.memory, STAGE, "use a smaller --walk-side or --walk-scale")


def parts_of_photographs(batch: PhotoBatch, looking: Looking, settings: RandomWalkSettings) -> Iterator[PhotoBatch]:
    """Yield a batch in parts of as many photographs as may be walked on together; errors as of `Looking.together`."""
    rows, columns = enlarged_size(batch.size, settings.walk_scale, side=settings.walk_side)
    for part in parts_of(len(batch.samples), looking.together(len(batch.samples), rows * columns)):
        yield batch.part(part)


@torch.inference_mode()
def _walk(batch: PhotoBatch, work: MaskWork, guide: Guide, settings: RandomWalkSettings) -> list[Seed]:
    device = choose_device(settings.device)
    pixels = enlarged(batch.images, settings.walk_scale, device, side=settings.walk_side)
    with autocast(device, choose_precision(settings.precision, device)):
        walk = guide.net.walk(pixels, radius=settings.walk_radius, beta=settings.beta_of(guide.kind))
    found = [work.seed_of(*one) for one in zip(*batch, strict=True)]
    labels = None
    if work.labels_walk and guide.labels is not None:
        files = (guide.labels.folder / f"{sample.id}.png" for sample in batch.samples)
        labels = [read_mask(file, max_pixels=settings.max_pixels) for file in files]
    return spread_seeds(found, walk, floor=guide.floor, alpha=guide.alpha, labels=labels, steps=settings.walk_steps)
