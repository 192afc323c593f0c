"""`recam evaluate` as users call it."""

from __future__ import annotations

import pytest

from tests.helpers.kills import call
from tests.helpers.tiny_run import make_run


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("tiny"))


def test_the_terminal_says_how_each_threshold_was_chosen(made):
    swept = call("evaluate", "--of", "seeds", "--run", made.path, "--quiet")
    assert swept.code == 0, swept.err
    assert "(swept with ground truth)" in swept.out and "pixel accuracy" in swept.out
    masks = call("evaluate", "--of", "masks", "--run", made.path, "--quiet")
    assert "threshold 0.300 (given)" in masks.out
    assert str(made.path / "evaluation" / "masks-train.csv") in masks.out
    assert "as objects" in masks.out and str(made.path / "evaluation" / "masks-train-coverage.csv") in masks.out
    assert "as objects" not in swept.out


def test_a_run_and_two_folders_exclude_each_other(made):
    outcome = call("evaluate", "--pred-dir", "a", "--truth-dir", "b", "--run", made.path)
    assert outcome.code == 2 and "--run and --pred-dir exclude each other" in outcome.err
