"""Part of make-masks: the affinity network, trained on confident labels."""

from __future__ import annotations

from pathlib import Path

from recam_cli.core.models.affinity_net import AffinityNet
from recam_cli.core.models.branch_files import AFFINITY
from recam_cli.core.settings.declare import part_of
from recam_cli.core.settings.make_masks import TrainPsaSettings
from recam_cli.core.training.affinity_training import AffinityLesson
from recam_cli.stages import psa_labels, train_branch
from recam_cli.stages.mask_work import MaskWork


def run(work: MaskWork, *, labels: Path) -> tuple[AffinityNet, Path]:
    """Train the affinity network on the confident labels in `labels`; results and errors as of `train_branch.run`."""
    settings = part_of(TrainPsaSettings, work.settings, workers=work.workers)
    lesson, stage = AffinityLesson.of(settings), psa_labels.STAGE
    task = train_branch.TrainTask(AFFINITY, settings, settings.psa_init, lesson, labels, stage)
    return train_branch.run(work, task)
