"""How many kills (SIGKILL, at random steps and writes) trainings survive: pytest -m bench -s <this file>.

After each series of kills, weights, metrics log and manifest are compared with those of an uninterrupted training.
"""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from tests.helpers.crash import MOMENTS
from tests.helpers.kills import drive, left_by, survive
from tests.helpers.tiny_data import make_custom
from tests.helpers.tiny_run import make_run
from tests.stages.test_resume import CPU, EVERY_STEP, RESUME_CLS, RESUME_SEG, RUN, train_cls, train_seg

KILLS, SERIES = 50, 12


@pytest.mark.bench
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("stage", ["train-cls", "train-seg", "train-irn"])
def test_kills_survived(tmp_path, stage, workers):
    begin, resume = commands(stage, tmp_path, workers)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    prepare(stage, tmp_path, whole)
    assert drive(whole, *begin).code == 0
    wanted, rng, tried, survived = left_by(whole / "run"), np.random.default_rng(0), 0, 0
    within = 0
    while tried < KILLS:
        prepare(stage, tmp_path, killed)
        moments = [
            ("step" if rng.random() < 0.5 else str(rng.choice(MOMENTS)), rng.integers(1, 7)) for _ in range(SERIES)
        ]
        kills = survive(killed, begin, resume, moments)
        tried, within = tried + len(kills), within + sum(moment != "step" for moment in kills)
        survived += len(kills) if left_by(killed / "run") == wanted else 0
        print(
            f"\n{stage}, {workers} workers: {survived} of {tried} kills survived, {within} within a write", flush=True
        )
    assert survived == tried


def commands(stage, root, workers):
    end = ["--workers", workers]
    if stage == "train-cls":
        return train_cls(make_custom(root / "data", 9), *end), RESUME_CLS
    make_run(root, backbone="mobilenet_v2")
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
