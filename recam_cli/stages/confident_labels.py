"""Part of make-masks: IRN's confident labels of every image, which teach the boundary network."""

from __future__ import annotations

from functools import partial

from recam_cli.core.masks.confident import ConfidentThresholds, confident_labels
from recam_cli.core.masks.refine import Refinement
from recam_cli.core.settings.declare import part_of
from recam_cli.core.settings.make_masks import ConfidentLabelsSettings
from recam_cli.stages import mask_labels
from recam_cli.stages.mask_work import MaskWork

STAGE = "confident-labels"
FOLDER = "confident"


def run(work: MaskWork, *, threshold: float) -> mask_labels.Labels:
    """Make the confident labels of a split; those there already, of the same settings, are kept.

    Args:
        work: the call of make-masks.
        threshold: the seeds'.

    Raises:
        UsageError: thresholds that contradict each other, or a dense CRF that is not installed.
        DataError: an image or a seed cannot be used.
    """
    settings = part_of(ConfidentLabelsSettings, work.settings)
    thresholds = ConfidentThresholds.around(threshold, high=settings.confident_fg, low=settings.confident_bg)
    how = Refinement(backend=settings.crf, device=work.crf_device)
    return mask_labels.run(
        work,
        mask_labels.LabelTask(
            stage=STAGE,
            folder=FOLDER,
            settings=settings,
            rule=partial(confident_labels, thresholds=thresholds, how=how),
            figures={"high": thresholds.high, "low": thresholds.low},
            describe=f"object from {thresholds.high:.3f}, background up to {thresholds.low:.3f}",
        ),
    )
