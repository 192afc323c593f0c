"""Part of make-masks: the boundary network, trained on confident labels; for instance maps, with its other branch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from recam_cli.core.models.branch_files import BOUNDARY
from recam_cli.core.models.irnet import BoundaryNet
from recam_cli.core.settings.declare import part_of
from recam_cli.core.settings.make_masks import TrainBranchesSettings, TrainIrnSettings
from recam_cli.core.training.boundary_training import BoundaryLesson
from recam_cli.stages import confident_labels, train_branch
from recam_cli.stages.mask_work import MaskWork


def run(work: MaskWork, *, labels: Path) -> tuple[BoundaryNet, Path]:
    """Train the boundary network on the confident labels in `labels`; results and errors as of `train_branch.run`.

    One that was trained with its displacement branch serves where that is not asked for, too.
    """
    both = part_of(TrainBranchesSettings, work.settings, workers=work.workers, instances=True)
    alone = part_of(TrainIrnSettings, work.settings, workers=work.workers)
    wanted = work.settings.instances
    done = work.run.entry(f"train-{BOUNDARY.name}{work.suffix}")
    if not wanted and done is not None and "displacement_lr" in done.settings:
        # Where the other branch is not asked for, it does not matter at which rate it learned.
        then = work.run.recorded(TrainBranchesSettings, {"displacement_lr": done.settings["displacement_lr"]})
        both = replace(both, displacement_lr=then.displacement_lr)
    task = train_branch.TrainTask(
        BOUNDARY,
        both if wanted else alone,
        alone.irn_init,
        BoundaryLesson.of(alone, displacement_rate=work.settings.displacement_lr),
        labels,
        confident_labels.STAGE,
        serves=(both,),
        facts={"displacement": wanted},
    )
    return train_branch.run(work, task)
