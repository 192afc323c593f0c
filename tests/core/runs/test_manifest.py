"""A manifest that is damaged or was edited is found out; what its schema leaves open is checked where it is read."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recam_cli import __version__
from recam_cli.core.errors import ExitCode, RunError
from recam_cli.core.runs.manifest import MANIFEST_NAME, Manifest, StageEntry, content_hash
from recam_cli.core.runs.run import Run
from tests.helpers.damage import flip_bit
from tests.helpers.manifests import edited_manifest


@pytest.fixture
def saved(tmp_path):
    entry = StageEntry(
        state="done",
        command="recam train-cls --data-root 'Fotos für später'",
        settings={"lr": 0.1, "epochs": 5, "labels": None},
        metrics={"map": 1e-7, "big": 1e300, "miou": float("nan")},
        seconds=12.345,
    )
    Manifest(created="2026-01-01", stages={"train-cls": entry}, next_command="recam make-seeds").save(tmp_path)
    return tmp_path


def test_what_is_saved_is_loaded_and_saved_again_alike(saved):
    before = (saved / MANIFEST_NAME).read_bytes()
    Manifest.load(saved).save(saved)
    assert (saved / MANIFEST_NAME).read_bytes() == before


def test_a_flipped_bit_anywhere_is_found_or_changes_nothing(saved):
    path, whole = saved / MANIFEST_NAME, Manifest.load(saved)
    size, found = path.stat().st_size, 0
    for at in range(0, size, 3):
        flip_bit(path, at=at)
        try:
            assert Manifest.load(saved) == whole, at  # a blank between values, or a letter of the hash's own name
        except RunError as error:
            assert error.exit_code == ExitCode.BAD_RUN and len(str(error).splitlines()) == 1
            found += 1
        flip_bit(path, at=at)
    assert Manifest.load(saved) == whole
    assert found > size / 6


@pytest.mark.parametrize("change", [{"lr": 0.2}, {"lr": "0.1"}, {"more": 1}])
def test_an_edit_is_refused_and_what_to_do_is_said(saved, change):
    path = saved / MANIFEST_NAME
    content = json.loads(path.read_text())
    content["stages"]["train-cls"]["settings"] |= change
    path.write_text(json.dumps(content))
    with pytest.raises(RunError, match=r'damaged or edited.*Restore the file, or .* take out the line "sha256"'):
        Manifest.load(saved)


def test_an_edit_without_the_hash_is_accepted_and_sealed_by_the_next_write(saved):
    with edited_manifest(saved) as content:
        content["stages"]["train-cls"]["settings"]["lr"] = 0.2
    manifest = Manifest.load(saved)
    assert manifest.stages["train-cls"].settings["lr"] == 0.2
    manifest.save(saved)
    assert "sha256" in json.loads((saved / MANIFEST_NAME).read_text())


def test_blanks_and_the_order_of_keys_do_not_matter(saved):
    path = saved / MANIFEST_NAME
    content = json.loads(path.read_text())
    path.write_text(json.dumps(dict(reversed(content.items())), separators=(",", ":")))
    assert Manifest.load(saved).next_command == "recam make-seeds"


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=8,
)


@settings(max_examples=60)
@given(JSON, JSON)
def test_the_hash_follows_the_content_through_json(one, other):
    assert content_hash(json.loads(json.dumps(one))) == content_hash(one)
    assert json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True) or content_hash(one) != content_hash(
        other
    )


LEARNED = {"verdict": "not learned", "photographs": 9, "ap": 31.5, "low": 20.0, "high": 50.0, "chance": 40.0}


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
        {"probe_map": 101},
        {"cross_validated_map": "50"},
        {"learned": ["cat"]},
        {"learned": {"cat": 3}},
        {"learned": {"cat": LEARNED | {"verdict": "perhaps"}}},
        {"learned": {"cat": LEARNED | {"ap": "50"}}},
        {"learned": {"cat": LEARNED | {"chance": None}}},
        {"learned": {"cat": LEARNED | {"photographs": None}}},
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
        "learned": {"cat": LEARNED, "dog": {"verdict": "too few", "photographs": 0, "ap": None}},
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


@pytest.mark.parametrize(
    ("schema", "versions", "told"),
    [
        (2, {"recam": "9.1.0"}, rf"written by a newer version of recam, 9\.1\.0; this is {__version__}\. Go"),
        (99, {}, "written by a newer version of recam; this is"),
        (0, None, "written by another version of recam; this is"),
        (2, [7], "written by a newer version of recam; this is"),
    ],
    ids=str,
)
def test_a_run_of_another_schema_is_told_with_the_version_that_wrote_it(tmp_path, schema, versions, told):
    stages = {"a": 7, "train-cls": {"state": "done", "versions": versions, "of a later schema": 1}}
    (tmp_path / MANIFEST_NAME).write_text(json.dumps({"schema_version": schema, "stages": stages, "more": {}}))
    with pytest.raises(RunError, match=rf"manifest\.json: {told}") as caught:
        Manifest.load(tmp_path)
    assert caught.value.exit_code == ExitCode.BAD_RUN


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
