"""Part of make-masks: PSA's confident labels of every image, which teach the affinity network."""

from __future__ import annotations

from recam_cli.core.masks.confident_alphas import AgreeingAlphas
from recam_cli.core.settings.declare import part_of
from recam_cli.core.settings.make_masks import PsaLabelsSettings
from recam_cli.stages import mask_labels
from recam_cli.stages.mask_work import MaskWork

STAGE = FOLDER = "psa-labels"


def run(work: MaskWork, *, floor: float) -> mask_labels.Labels:
    """Make the confident labels of a split; those there already, of the same settings, are kept.

    Args:
        work: the call of make-masks.
        floor: what is taken off the seeds' scores before.

    Raises:
        UsageError: exponents that contradict each other, or a dense CRF that is not installed.
        DataError: an image or a seed cannot be used.
    """
    settings = part_of(PsaLabelsSettings, work.settings)
    rule = AgreeingAlphas(settings.psa_low_alpha, settings.psa_high_alpha, floor, settings.crf, work.crf_device)
    return mask_labels.run(
        work,
        mask_labels.LabelTask(
            stage=STAGE,
            folder=FOLDER,
            settings=settings,
            rule=rule,
            figures={"floor": floor},
            describe=f"where exponents {rule.low:g} and {rule.high:g} agree, {floor:.3f} taken off the seeds",
        ),
    )
