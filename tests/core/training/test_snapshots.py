"""A training stopped after any step goes on to the same bits; a damaged snapshot is known as such."""

from __future__ import annotations

import json

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from recam_cli.core.data.transforms import Augmentation
from recam_cli.core.errors import RunError
from recam_cli.core.models.tensor_digest import tensor_digest
from recam_cli.core.reporter import SilentReporter
from recam_cli.core.runs.run import Run
from recam_cli.core.training.loader import TrainingImages
from recam_cli.core.training.loop import Loop, Losses, ParameterGroup, sgd
from recam_cli.core.training.parts import Splitting
from recam_cli.core.training.schedule import poly
from recam_cli.core.training.snapshot_files import (
    DamagedError,
    Snapshot,
    SnapshotFolder,
    packed,
    read_snapshot,
)
from recam_cli.core.training.snapshots import Snapshots
from tests.helpers.tiny_data import make_custom

STEPS = 9  # three epochs of three, two batches per optimiser step: gradients wait at the end of every other epoch


class StoppedError(Exception):
    pass


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    from recam_cli.core.data.registry import open_dataset
    from recam_cli.core.settings.groups import DataSettings

    root = make_custom(tmp_path_factory.mktemp("data"), 9, (24, 24))
    images = open_dataset(DataSettings(dataset="custom", data_root=root), "train")
    return TrainingImages(images.samples, images.targets(), Augmentation(16, jitter=0.2), 3, 10**6)


def train(data, run, *, stop=None, found=None, minutes=1e-9):
    """Train a small network with dropout and moving statistics; return its state, or stop before step `stop`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Conv2d(3, 4, 3),
            nn.BatchNorm2d(4),
            nn.Dropout(0.5),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(4, 3),
        )
        steps = 0

        def losses(batch):
            nonlocal steps
            steps += 1
            if steps == stop:
                raise StoppedError
            bce = nn.functional.multilabel_soft_margin_loss(net(batch.images), batch.labels)
            return Losses(bce, {"bce": bce})

        snapshots = Snapshots(
            SnapshotFolder(run.path / "snapshots"),
            {"a": 1},
            net,
            run=run,
            stage="train",
            minutes=minutes,
            reporter=SilentReporter(),
            found=found,
        )
        means = Loop(
            title="Small",
            data=data,
            epochs=3,
            batch_size=2,
            optimiser=sgd([ParameterGroup(net.parameters(), 0.1, 1e-4)], 0.9),
            schedule=poly,
            device=torch.device("cpu"),
            precision="fp32",
            workers=0,
            reporter=SilentReporter(),
            log=lambda **line: run.log(stage="train", **line),
            accumulate=2,
            snapshots=snapshots,
        ).run(losses, lambda epoch: {})
    return net.state_dict(), means


def log_of(run):
    lines = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    return [[(k, v) for k, v in line.items() if k != "seconds"] for line in lines]


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    run = Run.create(tmp_path_factory.mktemp("whole") / "run")
    return *train(data, run), log_of(run)


@pytest.mark.parametrize("minutes", [1e-9, 0], ids=["kept at steps", "kept at epochs"])
@pytest.mark.parametrize("stop", range(1, STEPS + 1))
def test_a_training_stopped_before_any_step_ends_the_same(data, whole, tmp_path, stop, minutes):
    run = Run.create(tmp_path / "run")
    with pytest.raises(StoppedError):
        train(data, run, stop=stop, minutes=minutes)
    run.log(stage="other", note="between")
    found = SnapshotFolder(run.path / "snapshots").read(SilentReporter())

    state, means = train(data, run, found=found)

    assert all(torch.equal(state[name], value) for name, value in whole[0].items())
    assert means == whole[1]
    log = log_of(run)
    log.remove([("stage", "other"), ("note", "between")])
    assert log == whole[2]


def test_a_training_that_was_done_is_not_done_again(data, whole, tmp_path):
    run = Run.create(tmp_path / "run")
    train(data, run)
    found = SnapshotFolder(run.path / "snapshots").read(SilentReporter())
    state, means = train(data, run, found=found, stop=1)
    assert all(torch.equal(state[name], value) for name, value in whole[0].items())
    assert (means, log_of(run)) == whole[1:]


def snapshot(number):
    return Snapshot({"a": torch.arange(3.0) + number, "b": torch.tensor(number)}, {"identity": {}, "number": number})


def test_a_snapshot_is_read_as_it_was_written(tmp_path):
    (tmp_path / "s").write_bytes(packed(snapshot(4)))
    found = read_snapshot(tmp_path / "s")
    assert found.facts == snapshot(4).facts
    assert all(torch.equal(found.tensors[name], value) for name, value in snapshot(4).tensors.items())


def test_whichever_byte_changes_or_is_cut_off_the_damage_is_noticed(tmp_path):
    data, path = packed(snapshot(1)), tmp_path / "s"
    rng = np.random.default_rng(0)
    for place in range(len(data)):
        wrong = bytearray(data)
        wrong[place] ^= int(rng.integers(1, 256))
        path.write_bytes(bytes(wrong))
        try:
            found = read_snapshot(path)
        except DamagedError:
            continue
        assert found.facts == snapshot(1).facts  # a blank of the header, or the like: nothing that is read
        assert all(torch.equal(found.tensors[name], value) for name, value in snapshot(1).tensors.items())
    for length in range(0, len(data), 7):
        path.write_bytes(data[:length])
        with pytest.raises(DamagedError):
            read_snapshot(path)


def test_the_one_before_is_kept_and_a_damaged_last_one_never_takes_its_place(tmp_path):
    folder = SnapshotFolder(tmp_path / "snapshots")
    for number in (1, 2):
        folder.write(snapshot(number))
    assert read_snapshot(folder.last).facts["number"] == 2
    assert read_snapshot(folder.before).facts["number"] == 1

    folder.last.write_bytes(b"torn")
    again, reporter = SnapshotFolder(tmp_path / "snapshots"), SilentReporter()
    assert again.read(reporter).facts["number"] == 1
    assert "last.safetensors is damaged" in reporter.warnings[0]
    again.write(snapshot(3))
    assert read_snapshot(folder.last).facts["number"] == 3
    assert read_snapshot(folder.before).facts["number"] == 1


@pytest.mark.parametrize(
    "change",
    [
        {"phase": 3},
        {"position": {"epoch": 1}},
        {"position": {"epoch": "1", "done": 0, "sums": {}, "means": {}, "seconds": 0.0}},
        {"position": {"epoch": 1, "done": 0, "sums": {"loss": 1e999}, "means": {}, "seconds": 0.0}},
        {"rates": []},
        {"rates": ["fast"]},
        {"strides": {"optimiser.0.momentum_buffer": [1 << 62] * 4}},
        {"strides": {"optimiser.0.momentum_buffer": 3}},
        {"strides": {"unknown": [1]}},
        {"log_size": None},
        {"carried": []},
        {"seconds": 10**400},
    ],
    ids=str,
)
def test_facts_of_another_kind_end_in_a_run_error(data, tmp_path, change):
    run = Run.create(tmp_path / "run")
    with pytest.raises(StoppedError):
        train(data, run, stop=5)
    folder = SnapshotFolder(run.path / "snapshots")
    found = folder.read(SilentReporter())
    folder.write(Snapshot(found.tensors, {**found.facts, **change}))
    with pytest.raises(RunError):
        train(data, run, found=folder.read(SilentReporter()))


def test_a_carried_fact_keeps_its_kind(data, tmp_path):
    kept = Snapshots(
        *(SnapshotFolder(tmp_path), {}, nn.Linear(1, 1)),
        run=Run.create(tmp_path / "run"),
        stage="x",
        minutes=0,
        reporter=SilentReporter(),
        found=Snapshot({}, {"carried": {"finished": "cam"}, "seconds": 1.0}),
    )
    assert kept.carry("metrics", {}) == {}
    with pytest.raises(RunError, match="finished"):
        kept.carry("finished", [])


def test_facts_that_are_nested_or_no_table_are_damage(tmp_path):
    for facts in ("[" * 100_000, "[]", "7", "{"):
        tensors = {"a": torch.zeros(1)}
        data = safetensors.torch.save(tensors, metadata={"facts": facts, "sha256": tensor_digest(tensors, facts)})
        (tmp_path / "s").write_bytes(data)
        with pytest.raises(DamagedError):
            read_snapshot(tmp_path / "s")


def in_parts(data, run, fits, *, stop=None, found=None):
    """Train where `fits` images fit into memory; return the state and the sizes of the parts."""
    sizes = []

    class Given(Splitting):
        def together(self, batch, losses, **_):
            return fits

    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))

    def losses(batch):
        sizes.append(len(batch.images))
        if sum(sizes) > (stop or 10**9):
            raise StoppedError
        share = 1 if batch.of is None else len(batch.images) / float(batch.of[0])
        return Losses(share * nn.functional.multilabel_soft_margin_loss(net(batch.images), batch.labels), {})

    folder = SnapshotFolder(run.path / "snapshots")
    about = {"run": run, "stage": "train", "minutes": 1e-9, "reporter": SilentReporter(), "found": found}
    Loop(
        title="Small",
        data=data,
        epochs=2,
        batch_size=3,
        optimiser=sgd([ParameterGroup(net.parameters(), 0.1, 1e-4)], 0.9),
        schedule=poly,
        device=torch.device("cpu"),
        precision="fp32",
        workers=0,
        reporter=SilentReporter(),
        log=lambda **line: run.log(stage="train", **line),
        snapshots=Snapshots(folder, {"a": 1}, net, **about),
        splitting=Given(net, "auto", lambda batch: torch.tensor([len(batch.images)])),
    ).run(losses, lambda epoch: {})
    return net.state_dict(), sizes


def test_parts_of_a_batch_teach_what_the_batch_teaches(data, tmp_path):
    (whole, one), (parts, many) = (in_parts(data, Run.create(tmp_path / f"{fits}"), fits) for fits in (3, 2))
    assert (one, many) == ([3] * 4, [2, 1] * 4)
    for name, value in whole.items():
        torch.testing.assert_close(parts[name], value, rtol=1e-4, atol=1e-6)


def test_a_training_that_goes_on_with_more_memory_keeps_to_its_parts_and_ends_with_the_same_bits(data, tmp_path):
    wanted, _ = in_parts(data, Run.create(tmp_path / "whole"), 1)
    run = Run.create(tmp_path / "run")
    with pytest.raises(StoppedError):
        in_parts(data, run, 1, stop=8)
    found = SnapshotFolder(run.path / "snapshots").read(SilentReporter())
    state, sizes = in_parts(data, run, 3, found=found)
    assert set(sizes) == {1}
    assert all(torch.equal(state[name], value) for name, value in wanted.items())


def test_a_training_that_goes_on_with_less_memory_takes_smaller_parts(data, tmp_path):
    run = Run.create(tmp_path / "run")
    with pytest.raises(StoppedError):
        in_parts(data, run, 3, stop=8)
    found = SnapshotFolder(run.path / "snapshots").read(SilentReporter())
    assert set(in_parts(data, run, 1, found=found)[1]) == {1}
