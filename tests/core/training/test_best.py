"""The best epoch of a phase is kept whole and taken at its end; damage to it is told."""

from __future__ import annotations

import json

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
    data = bytearray(training.folder.best("CAM").read_bytes())
    data[-1] ^= 1
    training.folder.best("CAM").write_bytes(data)
    assert training.best.take("CAM") is None
    assert float(training.net.weight.detach()) == 2
    assert "best-cam.safetensors is damaged" in training.reporter.warnings[0]


def test_a_training_that_goes_on_knows_the_best_so_far(training):
    training.epochs("CAM", (50.0, 70.0))
    again = BestEpoch(training.folder, dict(training.carried), training.net, training.reporter)
    again.offer("CAM", 3, 60.0)
    with torch.no_grad():
        assert again.take("CAM") == 2


def safe(training, scores, error=5.0, first=1):
    """Offer epochs with a standard error; the weights are the number of the epoch."""
    for epoch, score in enumerate(scores, start=first):
        nn.init.constant_(training.net.weight, epoch)
        training.best.offer("CAM", epoch, score, error)


@pytest.mark.parametrize(
    ("scores", "wanted"),
    [
        ((70.0, 66.0), 2),  # within the error: the latest
        ((70.0, 65.0), 2),  # at its very end
        ((70.0, 64.9), 1),  # beyond
        ((70.0, 66.0, 62.0), 2),  # the error counts from the highest, not from the one kept
        ((70.0, 60.0, 68.0), 3),
        ((70.0, 66.0, 80.0, 74.0), 3),  # a higher one sets the mark anew
        ((70.0, None, 66.0, None), 3),
    ],
)
def test_the_latest_within_a_standard_error_of_the_highest_is_taken(training, scores, wanted):
    safe(training, scores)
    assert training.best.take("CAM") == wanted
    assert float(training.net.weight.detach()) == wanted


def test_the_error_is_that_of_the_highest_epoch(training):
    training.best.offer("CAM", 1, 70.0, 1.0)
    training.best.offer("CAM", 2, 65.0, 20.0)
    assert training.best.take("CAM") == 1


def test_what_a_phase_began_with_can_win(training):
    safe(training, (90.0, 20.0, 30.0), first=0)
    assert training.best.offered("CAM") and not training.best.offered("ReCAM")
    assert training.best.take("CAM") == 0
    assert float(training.net.weight.detach()) == 0


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_the_rule_survives_an_interruption(training, cut):
    scores = (70.0, 66.0, 62.0, 69.0)
    safe(training, scores[:cut])
    carried = json.loads(json.dumps(training.carried))
    training.best = BestEpoch(training.folder, carried, training.net, training.reporter)
    safe(training, scores[cut:], first=cut + 1)
    assert training.best.take("CAM") == 4
    assert carried["best"]["top"] == 70.0


def test_what_the_next_phase_begins_with_leaves_the_best_of_the_one_before(tmp_path):
    training = Training(tmp_path)
    training.epochs("CAM", [50.0, 40.0])
    before = dict(training.carried)
    training.epochs("ReCAM", [10.0])
    resumed = BestEpoch(training.folder, before, training.net, training.reporter)
    assert resumed.take("CAM") == 1
