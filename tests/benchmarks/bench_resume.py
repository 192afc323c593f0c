"""How many kills (SIGKILL, at random steps, writes and times) each stage survives: pytest -m bench -s <this file>.

After each series of kills, weights, seeds, masks, metrics log and manifest are compared with those of an uninterrupted
run. A kill counts as landed in mid-write where it came between the opening of a temporary file and the moment its name
was synced; those at random times count where they left such a file. RECAM_BENCH_KILLS: how many per stage (50).
"""

from __future__ import annotations

import os
import shutil
import time

import numpy as np
import pytest

from tests.helpers.crash import MOMENTS
from tests.helpers.kills import drive, left_by, survive
from tests.helpers.tiny_data import make_custom
from tests.helpers.tiny_run import make_run
from tests.stages import test_killed_items
from tests.stages.test_killed_items import STAGES, command_of
from tests.stages.test_resume import CPU, EVERY_STEP, RESUME_CLS, RESUME_SEG, RUN, train_cls, train_seg

KILLS, SERIES = int(os.environ.get("RECAM_BENCH_KILLS", "50")), 12
OUTSIDE = ("step", "folder synced")
"""Moments that are not within a write."""
TRAININGS = ("train-cls", "train-seg", "train-irn")
ITEM_STAGES = tuple(stage for stage in STAGES if stage != "train-seg's predictions")


@pytest.mark.bench
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("stage", TRAININGS)
def test_trainings_survive(tmp_path, stage, workers):
    begin, resume = commands(stage, tmp_path, workers)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    prepare(stage, tmp_path, whole)
    assert drive(whole, *begin).code == 0

    def series(rng):
        prepare(stage, tmp_path, killed)
        kinds = ["step" if rng.random() < 0.5 else str(rng.choice(MOMENTS)) for _ in range(SERIES)]
        return survive(killed, begin, resume, [(kind, int(rng.integers(1, 7))) for kind in kinds])

    count(f"{stage}, {workers} workers", series, left_by(whole / "run"), killed, KILLS // 2)


@pytest.mark.bench
@pytest.mark.parametrize("stage", ITEM_STAGES)
def test_item_stages_survive(tmp_path, stage):
    test_killed_items.prepare(tmp_path)
    whole, killed = test_killed_items.begin(tmp_path, tmp_path / "whole", stage), tmp_path / "killed"
    command = command_of(stage)
    assert drive(whole, *command).code == 0

    def series(rng):
        shutil.rmtree(killed, ignore_errors=True)
        test_killed_items.begin(tmp_path, killed, stage)
        moments = [(str(rng.choice(MOMENTS)), int(rng.integers(1, 9))) for _ in range(SERIES)]
        return survive(killed, command, command, moments)

    count(stage, series, left_by(whole / "run"), killed)


@pytest.mark.bench
def test_masks_by_two_workers_survive_kills_at_random_times(tmp_path):
    test_killed_items.prepare(tmp_path)
    stage = "make-masks by CRF"
    whole, killed = test_killed_items.begin(tmp_path, tmp_path / "whole", stage), tmp_path / "killed"
    command = [*command_of(stage), "--workers", 2]
    begun = time.monotonic()
    assert drive(whole, *command).code == 0
    took = time.monotonic() - begun

    def series(rng):
        shutil.rmtree(killed, ignore_errors=True)
        test_killed_items.begin(tmp_path, killed, stage)
        kills = []
        for _ in range(SERIES):
            if not drive(killed, *command, seconds=float(rng.uniform(0.3, 1.0)) * took).killed:
                break
            kills.append("opened" if any((killed / "run").rglob("*.partial")) else "step")
        assert drive(killed, *command).code == 0
        return kills

    count(f"{stage}, 2 workers, at random times", series, left_by(whole / "run"), killed)


def count(what, series, wanted, killed, least=KILLS):
    """Repeat a series of kills until there were `least`; print and check how many were survived."""
    rng, tried, survived, within = np.random.default_rng(0), 0, 0, 0
    while tried < least:
        kills = series(rng)
        tried, within = tried + len(kills), within + sum(moment not in OUTSIDE for moment in kills)
        survived += len(kills) if left_by(killed / "run") == wanted else 0
    print(f"\n{what}: {survived} of {tried} kills survived, {within} landed in mid-write", flush=True)
    assert survived == tried


def commands(stage, root, workers):
    end = ["--workers", workers]
    if stage == "train-cls":
        return train_cls(make_custom(root / "data", 9), *end), RESUME_CLS
    make_run(root)
    if stage == "train-seg":
        return train_seg(*end), RESUME_SEG
    small = ["--irn-epochs", 3, "--irn-batch-size", 2, "--irn-crop", 32, "--threshold", 0.3]
    command = ["make-masks", "--refine", "irn", *small, *CPU, *EVERY_STEP, "--overwrite", *RUN, *end]
    return command, command


def prepare(stage, root, folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    if stage != "train-cls":
        shutil.copytree(root / "run", folder / "run")
