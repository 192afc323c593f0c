"""A training whose numbers become NaN or infinite stops before its weights do, and keeps what led to it."""

from __future__ import annotations

import math
import shutil

import pytest
import torch
from torch import nn

from recam_cli.core.data.registry import open_dataset
from recam_cli.core.data.transforms import Augmentation
from recam_cli.core.errors import ExitCode, ResourceError, RunError, TrainingError
from recam_cli.core.reporter import SilentReporter
from recam_cli.core.runs.run import Run
from recam_cli.core.settings.groups import DataSettings
from recam_cli.core.training.loader import TrainingImages
from recam_cli.core.training.loop import Loop, Losses, ParameterGroup, sgd
from recam_cli.core.training.not_finite import NAME, StepGuard, fault_of_losses
from recam_cli.core.training.schedule import poly
from recam_cli.core.training.snapshot_files import SnapshotFolder, read_snapshot
from recam_cli.core.training.snapshots import Snapshots
from tests.helpers.tiny_data import make_custom


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = make_custom(tmp_path_factory.mktemp("data"), 9, (24, 24))
    images = open_dataset(DataSettings(dataset="custom", data_root=root), "train")
    return TrainingImages(images.samples, images.targets(), Augmentation(16), 3, 10**6)


@pytest.fixture
def run(tmp_path):
    return Run.create(tmp_path / "run")


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Dropout(0.5), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))


class Bad:
    """Losses that go wrong in the `at`-th step."""

    def __init__(self, net, kind, at):
        self.net, self.kind, self.at, self.steps = net, kind, at, 0

    def __call__(self, batch):
        self.steps += 1
        return self.of(batch, self.kind if self.steps == self.at else None)

    def of(self, batch, kind):
        loss = nn.functional.multilabel_soft_margin_loss(self.net(batch.images), batch.labels)
        part = loss
        if kind == "loss":
            loss = loss * math.nan
        elif kind == "part":
            part = loss + math.inf
        elif kind == "gradient":  # finite, but its slope is not: the root of 0
            loss = loss + (self.net[4].weight * 0).sum().sqrt()
        elif kind == "step":
            bias = self.net[4].bias
            loss = loss + 1e38 * (bias - bias.detach()).sum()
        return Losses(loss, {"bce": part})


def train(net, data, run, losses, *, rate=0.1, accumulate=1, found=None):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        folder = SnapshotFolder(run.path / "snapshots")
        report = SilentReporter()
        keep = Snapshots(folder, {}, net, run=run, stage="train-it", minutes=0, reporter=report, found=found)
        return Loop(
            title="Small",
            data=data,
            epochs=3,
            batch_size=2,
            optimiser=sgd([ParameterGroup(net.parameters(), rate, 1e-4)], 0.9),
            schedule=poly,
            device=torch.device("cpu"),
            precision="fp32",
            workers=0,
            reporter=report,
            log=lambda **line: run.log(stage="train-it", **line),
            accumulate=accumulate,
            snapshots=keep,
        ).run(losses, lambda epoch: {})


MESSAGES = {
    "loss": "the loss became nan",
    "part": "the loss bce became inf",
    "gradient": "1 of 4 gradients became NaN or infinite",
    "step": "the step would make 1 of 4 weights infinite",
}


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("kind", MESSAGES)
def test_it_stops_at_that_step_names_the_images_and_leaves_finite_weights(data, run, kind, accumulate):
    net = network()
    with pytest.raises(TrainingError) as caught:
        train(net, data, run, Bad(net, kind, 4), rate=20 if kind == "step" else 0.1, accumulate=accumulate)
    assert caught.value.exit_code == ExitCode.CHECK_FAILED
    text = str(caught.value)
    assert f"Small: {MESSAGES[kind]} in epoch 2, step 4, at images " in text
    assert str(run.path / "snapshots" / NAME) in text
    assert all(bool(value.isfinite().all()) for value in net.state_dict().values())


@pytest.mark.parametrize("kind", ["loss", "gradient"])
def test_the_file_tells_what_happened_and_repeats_it(data, run, kind):
    net = network()
    with pytest.raises(TrainingError) as caught:
        train(net, data, run, Bad(net, kind, 5))
    kept = read_snapshot(run.path / "snapshots" / NAME)
    facts = kept.facts
    assert {key: facts[key] for key in ("stage", "phase", "epoch", "step", "seed")} == {
        "stage": "train-it",
        "phase": "Small",
        "epoch": 2,
        "step": 5,
        "seed": 3,
    }
    assert ", ".join(facts["images"]) in str(caught.value)
    assert facts["images"] == [data.samples[int(i)].id for i in kept.tensors["batch.indices"]]
    assert facts["parameters"] == ({"loss": [], "gradient": ["4.weight"]}[kind])
    assert facts["losses"]["loss"] == "nan" if kind == "loss" else 0 < facts["losses"]["loss"] < 10
    assert facts["rates"] == pytest.approx([0.1 * poly(4, 9)])

    again = network()
    again.load_state_dict({n.removeprefix("model."): t for n, t in kept.tensors.items() if n.startswith("model.")})
    batch = type("Batch", (), {n.removeprefix("batch."): t for n, t in kept.tensors.items() if n.startswith("batch.")})
    batch.images = batch.images.contiguous(memory_format=torch.channels_last)
    torch.set_rng_state(kept.tensors["generator.cpu"])
    losses = Bad(again, kind, 0).of(batch, None if kind == "loss" else kind)
    losses.total.backward()
    # The same dropout, weights and batch: what was finite then is the same number.
    assert str(float(losses.parts["bce"].detach())) == str(facts["losses"]["bce"])
    assert bool(again[4].weight.grad.isfinite().all()) == (kind == "loss")


def test_the_snapshots_of_before_serve_to_go_on(data, run, tmp_path):
    whole = network()
    means = train(whole, data, Run.create(tmp_path / "whole"), Bad(whole, None, 0))
    net = network()
    with pytest.raises(TrainingError):
        train(net, data, run, Bad(net, "gradient", 5))
    found = SnapshotFolder(run.path / "snapshots").read(SilentReporter())
    net = network()
    assert train(net, data, run, Bad(net, None, 0), found=found) == means
    assert all(torch.equal(value, net.state_dict()[name]) for name, value in whole.state_dict().items())


def test_where_the_batch_cannot_be_kept_the_fault_is_told_all_the_same(data, run, monkeypatch):
    net = network()

    def full(path, data):
        raise RunError(f"cannot write {path}: No space left on device")

    monkeypatch.setattr("recam_cli.core.training.snapshots.write_bytes", full)
    with pytest.raises(TrainingError, match=r"the loss became nan .* could not be kept: .* No space left"):
        train(net, data, run, Bad(net, "loss", 2))
    assert not (run.path / "snapshots" / NAME).exists()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", [0, 7, 11])
def test_a_single_value_that_is_not_finite_is_found_anywhere(value, place):
    weight = nn.Parameter(torch.ones(3, 4))
    weight.grad = torch.ones(3, 4)
    optimiser = sgd([ParameterGroup([weight], 0.1, 0.0)], 0.0)
    guard = StepGuard(optimiser)
    assert guard.fault(applies=True) is None
    weight.grad.view(-1)[place] = value
    assert guard.fault(applies=False).parameters == (weight,)


def test_large_gradients_whose_squares_overflow_are_no_fault():
    weight = nn.Parameter(torch.ones(3))
    weight.grad = torch.full((3,), 1e30)
    optimiser = sgd([ParameterGroup([weight], 0.1, 0.0)], 0.0)
    assert StepGuard(optimiser).fault(applies=True) is None


@pytest.mark.parametrize(("rate", "momentum", "decay"), [(1e3, 0.0, 0.0), (1e5, 0.9, 1e-4), (1.0, 0.9, 1e-4)])
def test_no_step_that_passes_leaves_a_weight_infinite(rate, momentum, decay):
    draw = torch.Generator().manual_seed(0)
    for power in range(28, 39):
        weight = nn.Parameter(torch.randn(64, generator=draw) * 10.0**power)
        optimiser = sgd([ParameterGroup([weight], rate, decay)], momentum)
        guard = StepGuard(optimiser)
        for _ in range(20):
            weight.grad = torch.randn(64, generator=draw) * 10.0 ** (power - 3)
            if guard.fault(applies=True) is not None:
                break
            optimiser.step()
            assert bool(weight.isfinite().all())


def test_steps_whose_bounds_grow_beyond_all_numbers_but_not_their_weights_pass():
    """The weight goes to and fro: the sum of its steps is larger than any number, itself it never is."""
    weight = nn.Parameter(torch.zeros(3))
    optimiser = sgd([ParameterGroup([weight], 1.0, 0.0)], 0.0)
    guard = StepGuard(optimiser)
    for number in range(12):
        weight.grad = torch.full((3,), 5e37 * (-1) ** number)
        assert guard.fault(applies=True) is None
        optimiser.step()
    assert float(weight.detach().abs().max()) == 0


def test_a_training_that_goes_on_looks_at_its_momentum_first():
    weight = nn.Parameter(torch.zeros(3))
    weight.grad = torch.ones(3)
    optimiser = sgd([ParameterGroup([weight], 10.0, 0.0)], 0.9)
    optimiser.state[weight]["momentum_buffer"] = torch.full((3,), 1e38)
    assert "would make 1 of 1 weights infinite" in StepGuard(optimiser).fault(applies=True).what


def test_losses_are_told_by_name():
    assert fault_of_losses(1.0, {"bce": 1.0}) is None
    assert fault_of_losses(1.0, {"bce": math.nan}).what == "the loss bce became nan"
    assert fault_of_losses(math.inf, {"bce": math.nan}).what == "the loss became inf"


def test_begun_anew_the_file_goes_aside_with_the_snapshots(data, run):
    net = network()
    with pytest.raises(TrainingError):
        train(net, data, run, Bad(net, "loss", 2))
    aside = SnapshotFolder(run.path / "snapshots").set_aside()
    assert (aside / NAME).is_file()
    shutil.rmtree(aside)


def test_a_step_that_lacks_memory_names_phase_epoch_step_and_images(data, run):
    net = network()
    bad = Bad(net, None, 0)

    def losses(batch):
        if bad.steps == 5:
            raise RuntimeError("could not create a primitive")
        return bad(batch)

    where = r"^Small, in epoch 2, step 6, at images img_\d+, img_\d+: not enough memory\. Use a smaller --batch-size"
    with pytest.raises(ResourceError, match=where):
        train(net, data, run, losses)
