"""Part of make-masks: what guides the walk of PSA — confident labels and the affinity network trained on them."""

from __future__ import annotations

from recam_cli.core.hardware import choose_device
from recam_cli.core.masks.confident_alphas import AgreeingAlphas
from recam_cli.core.models.branch_files import AFFINITY, load_branch
from recam_cli.core.runs.files import sha256_of
from recam_cli.core.settings.make_masks import MakeMasksSettings
from recam_cli.stages import psa_labels, train_psa
from recam_cli.stages.mask_work import MaskWork
from recam_cli.stages.random_walk import Guide


def check(settings: MakeMasksSettings) -> None:
    """Refuse what a part of PSA would refuse, before the first of them takes its time.

    Raises:
        UsageError: exponents that contradict each other.
        DataError: the weights given are not of an affinity network.
    """
    AgreeingAlphas(settings.psa_low_alpha, settings.psa_high_alpha)
    if settings.psa_weights is not None:
        load_branch(settings.psa_weights, AFFINITY, choose_device(settings.device))


def guide(work: MaskWork, *, threshold: float, floor: float) -> Guide:
    """Return the affinity network, trained where it must be; errors as of its parts.

    Args:
        work: the call of make-masks.
        threshold: the seeds' own; here only `floor` follows from it.
        floor: what is taken off the seeds' scores before their exponents and the walk.
    """
    settings, labels = work.settings, None
    if settings.psa_weights is None or work.labels_walk:
        labels = psa_labels.run(work, floor=floor)
    if settings.psa_weights is not None:
        net, weights = load_branch(settings.psa_weights, AFFINITY, choose_device(settings.device)), settings.psa_weights
    else:
        assert labels is not None
        net, weights = train_psa.run(work, labels=labels.folder)
    alpha = None if work.labels_walk else settings.psa_walk_alpha
    return Guide(AFFINITY.name, net, weights, sha256_of(weights), floor, alpha, labels)
