"""Part of make-masks: the boundary network, trained on confident labels."""

from __future__ import annotations

from pathlib import Path

from recam_cli.core.models.branch_files import BOUNDARY
from recam_cli.core.models.irnet import BoundaryNet
from recam_cli.core.settings.declare import part_of
from recam_cli.core.settings.make_masks import TrainIrnSettings
from recam_cli.core.training.boundary_training import boundary_lesson
from recam_cli.stages import confident_labels, train_branch
from recam_cli.stages.mask_work import MaskWork


def run(work: MaskWork, *, labels: Path) -> tuple[BoundaryNet, str]:
    """Train the boundary network on the confident labels in `labels`; results and errors as of `train_branch.run`."""
    settings = part_of(TrainIrnSettings, work.settings, workers=work.workers)
    lesson, stage = boundary_lesson(settings), confident_labels.STAGE
    task = train_branch.TrainTask(BOUNDARY, settings, settings.irn_init, lesson, labels, stage)
    return train_branch.run(work, task)
