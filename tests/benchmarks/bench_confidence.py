"""How honest the confidence of IRN+CRF masks is on real photographs, with and without the marginals' temperature.

    RECAM_BENCH_OUT=runs/bench pytest -m bench -s tests/benchmarks/bench_confidence.py

Looks at the run that bench_irn.py leaves in RECAM_BENCH_OUT. About a minute; nothing is written.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from recam_cli.core.cams.store import read_seed
from recam_cli.core.data.custom import open_custom
from recam_cli.core.data.images import read_image, read_mask
from recam_cli.core.data.samples import IGNORE
from recam_cli.core.masks.confidence import MEAN_FIELD_TEMPERATURE, confidence_levels
from recam_cli.core.masks.job import refinement_of
from recam_cli.core.masks.refine import PUBLISHED, SeedRefiner
from recam_cli.core.metrics.coverage import CONFIDENCES, CoverageCounts
from recam_cli.core.runs.run import Run
from recam_cli.core.settings.make_masks import MakeMasksSettings
from recam_cli.core.settings.resolve import resolve
from tests.helpers.real_data import msrc_root

EVERY = 3
TEMPERATURES = (1.0, 3.0, 4.0, MEAN_FIELD_TEMPERATURE, 6.0, 8.0)


def _calibration_error(pixels, right):
    """Return the mean distance of confidence and share of right pixels over 20 bins of levels, weighed by pixels."""
    bins = np.minimum(np.arange(256) * 20 // 256, 19)
    summed = [np.bincount(bins, weights, 20) for weights in (pixels * np.arange(256) / 255, right)]
    return float(np.abs(summed[0] - summed[1]).sum() / pixels.sum())


def _measure(run, how, threshold, images):
    counts = {t: np.zeros((2, 256)) for t in TEMPERATURES}
    curve = CoverageCounts(len(images.classes) + 1, CONFIDENCES)
    for sample in list(images)[::EVERY]:
        seed, truth = read_seed(run.path / "walked" / f"{sample.id}.npz"), read_mask(sample.mask)
        refiner = SeedRefiner(read_image(sample.image), seed, how)
        marginals = refiner.probabilities(threshold)
        mask, known = refiner.values[marginals.argmax(axis=0)], truth != IGNORE
        for temperature, (pixels, right) in counts.items():
            levels = confidence_levels(marginals, temperature=temperature)
            pixels += np.bincount(levels[known], minlength=256)
            right += np.bincount(levels[known & (mask == truth)], minlength=256)
            if temperature == MEAN_FIELD_TEMPERATURE:
                curve.update(truth, mask, levels)
    return {t: _calibration_error(*both) for t, both in counts.items()}, curve.curve()


@pytest.mark.bench
def test_confidence_of_masks_on_real_photographs():
    if "RECAM_BENCH_OUT" not in os.environ:
        pytest.skip("RECAM_BENCH_OUT does not name the runs of bench_irn.py")
    run = Run.open(Path(os.environ["RECAM_BENCH_OUT"]) / "irn0")
    entry, images = run.require("make-masks"), open_custom(msrc_root(), "train")
    preset = refinement_of(resolve(MakeMasksSettings, flags={}, run=entry.settings).settings)
    for name, how in (("the run's CRF", preset), ("the published CRF", PUBLISHED)):
        errors, curve = _measure(run, how, entry.notes["walk_threshold"], images)
        print(f"\n{name}: calibration error by temperature", {t: round(e, 3) for t, e in errors.items()})
        for point in curve:
            print("  ", point.as_dict())
        assert errors[MEAN_FIELD_TEMPERATURE] < 0.05 < errors[1.0]
