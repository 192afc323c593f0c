"""Part of make-masks: a segmenter learns the masks that the walk gave, and has a say in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from recam_cli.core.cams.store import Seed, label_of
from recam_cli.core.data.reading import PhotoBatch
from recam_cli.core.hardware import choose_device, choose_precision, computed_with
from recam_cli.core.masks.self_training import JOINED_THRESHOLD
from recam_cli.core.memory import parts_of
from recam_cli.core.models.segment_inference import Predicting
from recam_cli.core.models.segmenters import Segmenter
from recam_cli.core.models.self_taught import SelfTaught, join
from recam_cli.core.runs.commits import Commits
from recam_cli.core.runs.stage_facts import TOGETHER_NOTE
from recam_cli.core.settings.declare import part_of
from recam_cli.core.settings.make_masks import SelfTaughtSettings, SplitSettings, VotedSettings
from recam_cli.core.settings.resolve import Resolved
from recam_cli.core.settings.self_training import LEARNING
from recam_cli.core.training.self_lesson import SelfLesson
from recam_cli.stages import mask_labels, train_branch
from recam_cli.stages.mask_work import MaskWork, Threshold, write_seeds

STAGE = "self-training"
FOLDER = "joined"
DRAFTS_STAGE, DRAFTS = "draft-masks", "drafts"


@dataclass(frozen=True)
class DraftRule:
    """The mask that a walked seed gives by itself, what the segmenter learns; picklable.

    Attributes:
        threshold: the background's score.
    """

    threshold: float

    def __call__(self, image: np.ndarray, seed: Seed) -> np.ndarray:
        """Return it, uint8 (H, W), at the working copy's size, which `image` has."""
        seed.require_size(image.shape[0], image.shape[1])
        return label_of(seed.upsampled(), seed.classes, self.threshold)


def run(work: MaskWork, walked: Path, cut: Threshold, inputs: dict[str, str]) -> tuple[Path, dict[str, str]]:
    """Train the segmenter on the masks of walked seeds and join its scores with theirs; parts there are kept.

    Args:
        work: the call of make-masks.
        walked: folder of the walked seeds.
        cut: the background's score among them.
        inputs: what they and it depend on.

    Returns:
        The folder of joined seeds, to be cut at `JOINED_THRESHOLD`, and what they depend on besides `inputs`.

    Raises:
        UsageError, DataError, TrainingError: as the parts do.
    """
    drafts = mask_labels.run(
        replace(work, seeds=walked, inputs=inputs),
        mask_labels.LabelTask(
            stage=DRAFTS_STAGE,
            folder=DRAFTS,
            settings=part_of(SplitSettings, work.settings),
            rule=DraftRule(cut.value),
            figures={"cut": cut.value},
            describe=f"the walk's, cut at {cut.value:.3f}",
            title="Draft masks",
        ),
    )
    kind = SelfTaught(work.images.classes)
    task: train_branch.TrainTask[Segmenter] = train_branch.TrainTask(
        kind,
        part_of(SelfTaughtSettings, work.settings, workers=work.workers),
        "weights",
        SelfLesson.of(work.settings.self_epochs),
        drafts.folder,
        DRAFTS_STAGE,
    )
    segmenter, _ = train_branch.run(work, task)
    name = STAGE + work.suffix
    taught = f"train-{kind.name}{work.suffix}"
    joined_by = inputs | {kind.name: str(work.run.require(taught).outputs[kind.name].sha256)}
    return _join_all(work, walked, cut, segmenter, joined_by), {name: work.run.require(name).fingerprint}


def _join_all(work: MaskWork, walked: Path, cut: Threshold, segmenter: Segmenter, inputs: dict[str, str]) -> Path:
    """Join the scores of every image; those there already, of the same inputs, are kept."""
    run, images = work.run, work.images
    settings = part_of(VotedSettings, work.settings, workers=work.workers)
    name, device = STAGE + work.suffix, choose_device(settings.device)
    precision = choose_precision(settings.precision, device)
    folder = work.part_folder(name, FOLDER, settings, inputs, "joined seeds", suffix=".npz")
    if work.finished(name, folder) is not None:
        work.reporter.info(f"Joined seeds: kept {folder.path}")
        return folder.path
    own = replace(work, seeds=walked)
    with run.stage(name, Resolved(settings, work.resolved.sources), inputs=inputs, device=str(device)) as entry:
        folder.begin(work.reporter)
        side = LEARNING.predict_side
        predicting = Predicting.by(segmenter, settings.memory, STAGE, scales=(1.0,), side=side, precision=precision)

        def parts(batch: PhotoBatch) -> Iterator[PhotoBatch]:
            together = predicting.together(len(batch.samples), batch.size)
            return map(batch.part, parts_of(len(batch.samples), together))

        def make(part: PhotoBatch, commits: Commits) -> None:
            seeds = [own.seed_of(*one) for one in zip(*part, strict=True)]
            names = [sample.id for sample in part.samples]
            voted = join(seeds, part.images, segmenter, cut.value, settings.self_weight, precision, names)
            write_seeds(folder, part.samples, voted, commits)

        made = work.over_batches(folder, "Joining scores", LEARNING.predict_batch_size, parts, make)
        entry.metrics |= {"images": len(images), "made": made}
        entry.notes |= {
            "threshold": JOINED_THRESHOLD,
            TOGETHER_NOTE: {"pixels": predicting.looking.pixels()},
            **computed_with(precision),
        }
        entry.outputs[FOLDER] = run.output_of_folder(folder.path, "*.npz")
    return folder.path
