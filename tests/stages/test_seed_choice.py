"""How seeds are read is chosen once, the same each time, and only where the user left a choice."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from recam_cli.core.cams import families
from recam_cli.core.cams.families import SAMPLE
from recam_cli.core.masks.stability import THRESHOLDS
from recam_cli.core.reporter import SilentReporter
from recam_cli.core.runs.run import Run
from recam_cli.core.settings.make_seeds import MakeSeedsSettings
from recam_cli.core.settings.resolve import resolve
from recam_cli.stages import make_seeds, seed_choice
from recam_cli.stages.seed_choice import clearly_better
from tests.helpers.tiny_run import make_run

FIRST, OTHER = (32, 48), (64, 80)
STEPS = len(THRESHOLDS) - 1


def drawn(level, n=20, seed=0, spread=0.02):
    rng = np.random.default_rng(seed)
    return list(np.clip(level + rng.normal(0, spread, (n, 1, 1)), 0, 1) * np.ones((n, STEPS, 2)))


def test_equal_ways_are_not_clearly_better():
    assert not clearly_better(drawn(0.6), drawn(0.6))


def test_a_clearly_higher_stability_is_better_and_a_lower_one_is_not():
    assert clearly_better(drawn(0.8, seed=1), drawn(0.6))
    assert not clearly_better(drawn(0.6), drawn(0.8, seed=1))


def test_a_gain_within_the_scatter_of_the_photographs_is_not_enough():
    known = [np.full((STEPS, 2), 0.6)] * 20
    mixed = [np.full((STEPS, 2), level) for level in (0.8, 0.42)] * 10
    assert seed_choice.most_stable(mixed).value > seed_choice.most_stable(known).value
    assert not clearly_better(mixed, known)
    assert clearly_better([np.full((STEPS, 2), level) for level in (0.8, 0.58)] * 10, known)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Give a folder with a classifier of both methods, of which none is chosen yet."""
    root = tmp_path_factory.mktemp("trained")
    make_run(root, masks=False, method="auto")
    return root


@pytest.fixture
def run(trained, tmp_path, monkeypatch):
    """Give a copy of the run; other sides to choose from are small, and no processes are started."""
    monkeypatch.setattr(families, "SIDES", (FIRST, OTHER, (9000,)))
    monkeypatch.setattr(seed_choice, "available_cores", lambda: 0)
    shutil.copytree(trained, tmp_path / "copy")
    return Run.open(tmp_path / "copy" / "run")


@pytest.fixture
def tried(monkeypatch):
    """Keep which ways are tried; how stable each is can be set: "<method> <first side>" → level."""
    ways, levels, seeds = [], {}, seed_choice._Trials._seeds

    def compare(trials, key):
        if key not in trials.ious:
            ways.append((key[0], key[2]))
            trials.ious[key] = drawn(levels.get((key[0], key[2]), 0.5), len(trials.samples))
            assert len(seeds(trials, key)) == len(trials.samples)

    def stub(given):
        levels.update(given)
        monkeypatch.setattr(seed_choice._Trials, "_compare", compare)
        return ways

    return stub


def _make(run, *, sides=None, **flags):
    data = {"dataset": "custom", "data_root": run.path.parent / "data"}
    data |= {"workers": 0, "device": "cpu", "precision": "fp32", "choose": True, "sides": sides}
    resolved = resolve(MakeSeedsSettings, flags={**data, **flags}, preset={"sides": FIRST})
    result = make_seeds.run(resolved, run, SilentReporter())
    return result, Run.open(run.path)


def test_the_choice_is_noted_and_the_same_again(run, tmp_path):
    shutil.copytree(run.path.parent, tmp_path / "second")
    result, after = _make(run)
    entry = after.require("make-seeds")
    noted = entry.notes["choice"]
    assert set(noted) == {"asked", "chosen", "stability", "photographs", "of"}
    assert noted["chosen"] == "label-free" and noted["photographs"] == result.images <= SAMPLE
    assert len(noted["stability"]) == 3 and all(0 <= value <= 1 for value in noted["stability"].values())
    assert tuple(entry.settings["sides"]) in (FIRST, OTHER)
    again = _make(Run.open(tmp_path / "second" / "run"))[1].require("make-seeds")
    assert again.notes["choice"]["stability"] == noted["stability"]
    assert again.outputs["seeds"].sha256 == entry.outputs["seeds"].sha256


def test_a_second_call_takes_the_choice_over_without_trying(run, tried):
    ways = tried({("recam", OTHER): 0.9})
    _, after = _make(run)
    assert ways == [("recam", FIRST), ("recam", OTHER), ("cam", OTHER)]
    noted = after.require("make-seeds").notes["choice"]
    result, again = _make(after)
    assert len(ways) == 3 and (result.made, result.kept) == (0, result.images)
    assert again.require("make-seeds").notes["choice"] == noted
    assert tuple(again.require("make-seeds").settings["sides"]) == OTHER


def test_the_first_way_stays_unless_another_is_better(run, tried):
    ways = tried({})
    result, after = _make(run)
    assert (result.method, result.seed_weights) == ("recam", "product")
    assert tuple(after.require("make-seeds").settings["sides"]) == FIRST
    assert ways == [("recam", FIRST), ("recam", OTHER), ("cam", FIRST)]  # none at sides that only enlarge


def test_given_sides_are_respected_and_the_method_still_chosen(run, tried):
    ways = tried({("cam", (40,)): 0.9})
    result, after = _make(run, sides=(40,))
    assert ways == [("recam", (40,)), ("cam", (40,))]
    assert (result.method, result.seed_weights) == ("cam", "fc1")
    assert tuple(after.require("make-seeds").settings["sides"]) == (40,)


def test_a_method_that_is_asked_for_is_not_chosen(run, tried):
    ways = tried({("cam", FIRST): 0.9})
    result, _ = _make(run, method="recam")
    assert result.method == "recam"
    assert ways == [("recam", FIRST), ("recam", OTHER)]


def test_without_choose_nothing_is_tried_or_noted(run, tried):
    ways = tried({})
    _, after = _make(run, choose=False)
    assert ways == [] and "choice" not in after.require("make-seeds").notes


def test_other_photographs_are_tried_anew(run, tried):
    ways = tried({})
    _, after = _make(run)
    _make(after, split="val", overwrite=True)
    assert len(ways) == 6
