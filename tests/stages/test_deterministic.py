"""--deterministic is on while every stage computes, is recorded, and changes no bit on a CPU."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from recam_cli.core.hardware import prepare_process
from recam_cli.core.reporter import SilentReporter
from recam_cli.core.rerun.compare import compare_stage
from recam_cli.core.rerun.steps import steps_of
from recam_cli.core.runs.run import Run
from recam_cli.core.settings.make_masks import MakeMasksSettings
from recam_cli.core.settings.resolve import Resolved, resolve
from recam_cli.core.settings.train_seg import TrainSegSettings
from recam_cli.core.training.loop import Loop
from recam_cli.stages import make_masks, make_seeds, random_walk, train_cls, train_seg
from tests.helpers.tiny_run import make_run
from tests.helpers.walk_run import walk

SEGMENTER = {"epochs": 1, "batch_size": 2, "crop": 32, "network": "lraspp", "stride": "16", "init": "none"}


@pytest.fixture(autouse=True)
def restored():
    yield
    prepare_process()


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Give a run of every stage that computes, without the flag."""
    root = tmp_path_factory.mktemp("root")
    run = make_run(root, method="cam")
    walk(root / "data", run.path, "irn")
    flags = {**SEGMENTER, "dataset": "custom", "data_root": root / "data", "device": "cpu", "precision": "fp32"}
    train_seg.run(resolve(TrainSegSettings, flags={**flags, "workers": 0}), Run.open(run.path), SilentReporter())
    return root


@pytest.fixture
def seen(monkeypatch):
    """Note, by place, whether the flag was on whenever something was computed there."""
    noted = {}

    def watch(owner, name):
        real = getattr(owner, name)

        def watched(*arguments, **options):
            noted.setdefault(name, set()).add(torch.are_deterministic_algorithms_enabled())
            return real(*arguments, **options)

        monkeypatch.setattr(owner, name, watched)

    for owner, name in (
        (Loop, "_step"),
        (make_seeds, "class_maps"),
        (random_walk, "spread_seeds"),
        (train_seg, "predict_masks"),
    ):
        watch(owner, name)
    return noted


def test_it_is_on_in_every_stage_recorded_and_changes_no_bit_on_a_cpu(root, seen):
    then = Run.open(root / "run")
    path = root / "again"
    stages = {"train-cls": train_cls, "make-seeds": make_seeds, "make-masks": make_masks, "train-seg": train_seg}
    for step in steps_of(then):
        prepare_process()  # what a stage before left on does not count
        resolved = step.changed(deterministic=True).resolved
        where = path if step.kind == "train-cls" else Run.open(path)
        stages[step.kind].run(resolved, where, SilentReporter())
    assert seen == {name: {True} for name in ("_step", "class_maps", "spread_seeds", "predict_masks")}
    now = Run.open(path)
    for stage, entry in now.manifest.stages.items():
        assert entry.settings.get("deterministic", entry.notes.get("deterministic")) in (True, None)
        assert compare_stage(stage, then, now).identical, stage
    for stage in ("train-cls", "make-seeds", "make-masks", "train-irn", "random-walk", "train-seg"):
        assert now.require(stage).settings["deterministic"] is True
    assert all(step.resolved.settings.deterministic for step in steps_of(now))


def test_masks_of_the_dense_crf_alone_record_it_too(root):
    flags = {"dataset": "custom", "data_root": root / "data", "refine": "crf", "threshold": "0.3", "workers": 0}
    resolved = resolve(MakeMasksSettings, flags={**flags, "device": "cpu", "deterministic": True, "overwrite": True})
    run = Run.open(root / "run")
    make_masks.run(resolved, run, SilentReporter())
    assert torch.are_deterministic_algorithms_enabled()
    step = next(s for s in steps_of(Run.open(run.path)) if s.kind == "make-masks")
    assert step.resolved.settings.deterministic
    off = replace(resolved.settings, deterministic=False)
    make_masks.run(Resolved(off, resolved.sources), run, SilentReporter())
    assert not torch.are_deterministic_algorithms_enabled()
