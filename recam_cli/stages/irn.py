"""Part of make-masks: what guides the walk of IRN — confident labels and the boundary network trained on them."""

from __future__ import annotations

from recam_cli.core.hardware import choose_device
from recam_cli.core.models.branch_files import BOUNDARY, load_branch
from recam_cli.core.runs.files import sha256_of
from recam_cli.core.settings.make_masks import MakeMasksSettings
from recam_cli.core.training.boundary_training import boundary_lesson
from recam_cli.stages import confident_labels, train_irn
from recam_cli.stages.mask_work import MaskWork
from recam_cli.stages.random_walk import Guide


def check(settings: MakeMasksSettings) -> None:
    """Refuse what a part of IRN would refuse, before the first of them takes its time.

    Raises:
        UsageError: a value is outside its range.
        DataError: the weights given are not of a boundary network.
    """
    boundary_lesson(settings)
    if settings.irn_weights is not None:
        load_branch(settings.irn_weights, BOUNDARY, choose_device(settings.device))


def guide(work: MaskWork, *, threshold: float, floor: float) -> Guide:
    """Return the boundary network, trained where it must be; errors as of its parts.

    Args:
        work: the call of make-masks.
        threshold: the seeds' own.
        floor: what is taken off the seeds' scores before the walk.
    """
    given, device = work.settings.irn_weights, choose_device(work.settings.device)
    if given is not None:
        return Guide(BOUNDARY.name, load_branch(given, BOUNDARY, device), sha256_of(given), floor)
    net, digest = train_irn.run(work, labels=confident_labels.run(work, threshold=threshold))
    return Guide(BOUNDARY.name, net, digest, floor)
