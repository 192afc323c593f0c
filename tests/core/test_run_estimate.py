"""What `recam run` says it will take: in words, more for more work, and for every stage."""

from __future__ import annotations

from dataclasses import replace

import pytest

from recam_cli.core import run_estimate
from recam_cli.core.data.folder import open_folder
from recam_cli.core.run_estimate import estimate, in_words
from recam_cli.core.run_speeds import Amount, Speeds
from recam_cli.core.settings.run import RUN_STAGES, resolve_stages
from tests.helpers.tiny_data import make_folder

AMOUNT = Amount(train=100, held_out=20, unlabelled=10, area=0.25, labels=1.5, classes=5)
SPEEDS = Speeds(forward=0.5, step=2.0, segmenting=1.8, decoding=0.02, crf=3.0, walk=0.2, cores=2)


def settings_with(**changes):
    changes = {name.replace("_", "-"): values for name, values in changes.items()}
    return {n: r.settings for n, r in resolve_stages({}, dataset="folder", changes=changes).items()}


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "1 s"),
        (45.4, "45 s"),
        (59.6, "1 min"),
        (61, "1 min"),
        (218, "3 min 40 s"),
        (598, "10 min"),
        (1234, "21 min"),
        (3599, "1 h"),
        (3600, "1 h"),
        (7790, "2 h 10 min"),
    ],
)
def test_times_are_said_as_one_says_them(seconds, words):
    assert in_words(seconds) == words


@pytest.mark.parametrize(
    ("stage", "more"),
    [
        ("train-cls", {"epochs": 12}),
        ("train-cls", {"crop": 320}),
        ("make-seeds", {"scales": (1.0, 0.5, 1.5, 2.0, 3.0)}),
        ("make-masks", {"irn_epochs": 6}),
        ("make-masks", {"self_epochs": 12}),
        ("make-masks", {"walk_scale": 3.0}),
        ("make-masks", {"refine": "irn+crf"}),
        ("train-seg", {"epochs": 24}),
        ("train-seg", {"eval_scales": (1.0, 2.0)}),
    ],
)
def test_more_work_takes_longer(stage, more):
    seconds = run_estimate._SECONDS[stage]
    plain, longer = (settings_with(**{stage.replace("-", "_"): c})[stage] for c in ({}, more))
    assert 0 < seconds(plain, AMOUNT, SPEEDS) < seconds(longer, AMOUNT, SPEEDS)
    for changed in ({"train": 200}, {"area": 0.5}):
        assert seconds(plain, replace(AMOUNT, **changed), SPEEDS) > seconds(plain, AMOUNT, SPEEDS)


def test_choosing_sizes_takes_its_time_and_is_done_on_a_sample():
    seconds = run_estimate.make_seeds
    chosen, given = (settings_with(make_seeds={"choose": choose})["make-seeds"] for choose in (True, False))
    gains = [seconds(chosen, a, SPEEDS) - seconds(given, a, SPEEDS) for a in (AMOUNT, replace(AMOUNT, train=1000))]
    assert gains[0] == pytest.approx(gains[1]) and gains[0] > 0
    large = replace(AMOUNT, area=4.0)  # photographs of which more sizes are tried
    assert seconds(chosen, large, SPEEDS) - seconds(given, large, SPEEDS) > gains[0]


def test_twice_the_photographs_take_twice_as_long_and_twice_the_speed_half():
    fixed = {"train_cls": {"epochs": 6, "recam_epochs": 3}, "make_masks": {"threshold": "0.4"}}
    fixed |= {"make_seeds": {"choose": False}}
    settings = settings_with(**fixed)
    twice = replace(AMOUNT, train=200, held_out=40)
    halved = Speeds(0.25, 1.0, 0.9, 0.01, 1.5, 0.1, 2)
    for stage in ("train-cls", "make-seeds", "make-masks", "train-seg"):
        once = run_estimate._SECONDS[stage](settings[stage], AMOUNT, SPEEDS)
        assert run_estimate._SECONDS[stage](settings[stage], twice, SPEEDS) == pytest.approx(2 * once)
        assert run_estimate._SECONDS[stage](settings[stage], AMOUNT, halved) < once


@pytest.mark.parametrize("refine", ["none", "crf", "psa", "irn"])
def test_every_stage_gets_its_seconds(tmp_path, refine):
    root = make_folder(tmp_path, 6)
    given = {"backbone": "mobilenet_v2", "weights": "none", "device": "cpu", "data_root": root}
    stages = resolve_stages(given, dataset="folder", changes={"make-masks": {"refine": refine}})
    train, val = (open_folder(root, split) for split in ("train", "val"))
    found = estimate(stages, [*RUN_STAGES, "predict"], train, [val], [val.samples[0].image])
    assert set(found.seconds) == {*RUN_STAGES, "predict"}
    assert all(seconds > 0 for seconds in found.seconds.values())


def test_of_photographs_that_cannot_be_read_nothing_is_said(tmp_path):
    root = make_folder(tmp_path, 6)
    train, val = (open_folder(root, split) for split in ("train", "val"))
    for path in root.rglob("*.jpg"):
        path.write_bytes(b"broken")
    assert estimate(resolve_stages({}, dataset="folder"), list(RUN_STAGES), train, [val], []).seconds == {}
