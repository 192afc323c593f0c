"""How right the estimate of `recam run` is, stage by stage: python -m pytest -m bench -n 0 -s <this file>."""

from __future__ import annotations

import time

import pytest

from recam_cli.core.data.registry import open_dataset
from recam_cli.core.data.shapes import ShapesSpec, open_shapes
from recam_cli.core.reporter import SilentReporter
from recam_cli.core.run_estimate import estimate
from recam_cli.core.settings.run import resolve_stages, stages_until
from recam_cli.stages import run_all
from recam_cli.stages.run_plan import Whole


@pytest.mark.bench
@pytest.mark.parametrize(("preset", "weights"), [("shapes", "imagenet"), ("small", "none")])
def test_the_estimate_against_the_clock(tmp_path, preset, weights):
    root = tmp_path / "data"
    open_shapes(root, "train", ShapesSpec(train=60, val=20))
    given = {"data_root": root, "backbone": "efficientnet_lite0", "weights": weights}
    stages = resolve_stages(given, dataset="custom", preset=preset)
    settings = stages["train-cls"].settings
    train, val = (open_dataset(settings, split) for split in ("train", "val"))
    begun = time.perf_counter()
    expected = estimate(stages, list(stages), train, [val], [])
    print(f"\n{preset}: measured in {time.perf_counter() - begun:.1f} s")
    whole = Whole(tmp_path / "run", stages, stages_until("report"), preset)
    took = run_all.run(whole, SilentReporter(), estimated=False).seconds
    for name, seconds in took.items():
        print(f"{name:<12} estimated {expected.seconds[name]:7.1f} s, took {seconds:7.1f} s")
    print(f"{'all':<12} estimated {expected.total:7.1f} s, took {sum(took.values()):7.1f} s")
