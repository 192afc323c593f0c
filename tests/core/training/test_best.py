"""The best epoch of a phase is kept whole and taken at its end; damage to it is told."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from recam_cli.core.reporter import SilentReporter
from recam_cli.core.training.best import BestEpoch
from recam_cli.core.training.snapshot_files import SnapshotFolder


class Training:
    """Offers epochs with given scores; the network's weights are the number of the epoch."""

    def __init__(self, path):
        self.folder, self.carried, self.reporter = SnapshotFolder(path / "snapshots"), {}, SilentReporter()
        self.net = nn.Linear(1, 1, bias=False)
        self.best = BestEpoch(self.folder, self.carried, self.net, self.reporter)

    def epochs(self, phase, scores):
        for epoch, score in enumerate(scores, start=1):
            nn.init.constant_(self.net.weight, epoch)
            self.best.offer(phase, epoch, score)


@pytest.fixture
def training(tmp_path):
    return Training(tmp_path)


@pytest.mark.parametrize(("scores", "wanted"), [((50.0, 70.0, 60.0), 2), ((70.0, 70.0), 1), ((None, 3.0, None), 2)])
def test_the_first_of_the_highest_scores_is_taken(training, scores, wanted):
    training.epochs("CAM", scores)
    assert training.best.take("CAM") == wanted
    assert float(training.net.weight.detach()) == wanted


def test_each_phase_has_its_own(training):
    training.epochs("CAM", (90.0, 10.0))
    assert training.best.take("ReCAM") is None
    training.epochs("ReCAM", (20.0, 30.0, 25.0))
    assert training.best.take("ReCAM") == 2


def test_without_any_score_the_network_stays_as_it_is(training):
    training.epochs("CAM", (None, None))
    assert training.best.take("CAM") is None
    assert float(training.net.weight.detach()) == 2


def test_a_damaged_one_is_told_and_the_last_epoch_kept(training):
    training.epochs("CAM", (90.0, 10.0))
    data = bytearray(training.folder.best.read_bytes())
    data[-1] ^= 1
    training.folder.best.write_bytes(data)
    assert training.best.take("CAM") is None
    assert float(training.net.weight.detach()) == 2
    assert "best.safetensors is damaged" in training.reporter.warnings[0]


def test_a_training_that_goes_on_knows_the_best_so_far(training):
    training.epochs("CAM", (50.0, 70.0))
    again = BestEpoch(training.folder, dict(training.carried), training.net, training.reporter)
    again.offer("CAM", 3, 60.0)
    with torch.no_grad():
        assert again.take("CAM") == 2
