"""What a manifest's schema leaves open is checked where it is read; what no run wrote ends in a RunError."""

from __future__ import annotations

import json
import os

import pytest

from recam_cli.core.errors import RunError
from recam_cli.core.runs.manifest import Manifest, StageEntry
from recam_cli.core.runs.run import Run


def written(folder, **entry):
    stages = {"train-cls": {"state": "done", **entry}}
    (folder / "manifest.json").write_text(json.dumps({"stages": stages}))
    return folder


@pytest.mark.parametrize("part", ["settings", "metrics", "notes"])
@pytest.mark.parametrize(
    "value", [float("inf"), float("nan"), -(10**400), {"a": [1, {"b": 10**400}]}], ids=lambda v: repr(v)[:9]
)
def test_numbers_that_cannot_be_shown_are_refused(tmp_path, part, value):
    with pytest.raises(RunError, match=r"manifest\.json: damaged at stages\.train-cls: .*Restore"):
        Manifest.load(written(tmp_path, **{part: {"x": value}}))


@pytest.mark.parametrize(
    "metrics",
    [
        {"miou": "50"},
        {"map": [1]},
        {"cam_map": True},
        {"per_class": [1, 2]},
        {"per_class": {"cat": "x"}},
        {"average_precision": {"cat": {}}},
        {"label_free": 3},
        {"best": {"threshold": "0.3", "miou": 3}},
    ],
    ids=str,
)
def test_figures_of_another_kind_are_refused(tmp_path, metrics):
    with pytest.raises(RunError, match=f"stages.train-cls: .*{next(iter(metrics))}"):
        Manifest.load(written(tmp_path, metrics=metrics))


def test_figures_of_a_run_are_taken(tmp_path):
    metrics = {
        "miou": 50.5,
        "map": None,
        "per_class": {"cat": None, "dog": 3},
        "best": {"threshold": 0.1, "miou": None},
    }
    found = Manifest.load(written(tmp_path, metrics=metrics | {"label_free": None, "other": ["x", True]}))
    assert found.stages["train-cls"].metrics["miou"] == 50.5


@pytest.mark.parametrize("seconds", [float("inf"), float("nan"), 10**400], ids=lambda v: repr(v)[:9])
def test_endless_times_are_refused(tmp_path, seconds):
    with pytest.raises(RunError):
        Manifest.load(written(tmp_path, seconds=seconds))


def test_nested_manifests_and_pipes_are_refused(tmp_path):
    path = tmp_path / "manifest.json"
    for text in (
        "[" * 100_000,
        '{"stages": ' * 100_000,
        '{"stages": {"a": {"notes": ' + '{"b": ' * 90 + "1" + "}" * 93,
    ):
        path.write_text(text)
        with pytest.raises(RunError, match=r"manifest\.json"):
            Manifest.load(tmp_path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(RunError, match="not a plain file"):
        Manifest.load(tmp_path)


def test_stages_that_were_made_from_each_other_end(tmp_path):
    both = {"state": "done", "fingerprint": "x"}
    stages = {
        "a": {**both, "inputs": {"b": "x"}},
        "b": {**both, "inputs": {"a": "x"}},
        "c": {**both, "inputs": {"c": "x"}},
    }
    (tmp_path / "manifest.json").write_text(json.dumps({"stages": stages}))
    run = Run.open(tmp_path)
    assert [run.outdated(name) for name in "abc"] == [None, None, None]


def test_a_path_that_is_not_utf_8_survives(tmp_path):
    path = os.fsdecode(b"photos\xff")
    manifest = Manifest(
        stages={"train-cls": StageEntry(command=f"recam {path}", settings={"data_root": path, "lr": 0.1})}
    )
    manifest.save(tmp_path)
    assert Manifest.load(tmp_path) == manifest
