"""Declared settings: conversion, ranges, and the round trip through plain values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recam_cli.core.errors import UsageError
from recam_cli.core.settings.declare import OPEN, as_plain, setting, settings_of
from recam_cli.core.settings.presets import BY_DATASET, PRESETS, preset_values
from recam_cli.core.settings.resolve import read_config, resolve


@dataclass(frozen=True, kw_only=True)
class Sample:
    count: int = setting(3, "How many.", panel="A", minimum=1, maximum=9)
    rate: float = setting(0.5, "How fast.", panel="A", above=0)
    word: Literal["yes", "no"] = setting("yes", "Which.", panel="A")
    place: Path | None = setting(None, "Where.", panel="A")
    sizes: tuple[int, ...] = setting((1, 2), "Sizes.", panel="A", minimum=0)
    on: bool = setting(True, "Whether.", panel="A")
    free: str = setting("auto", "A number or auto.", panel="A")
    passes: int | None = setting(5, "How often; None: by the data.", panel="A", minimum=0)
    limit: int | None = setting(None, "At most; None: no limit.", panel="A")


def _resolve(**flags):
    return resolve(Sample, flags=flags)


@given(
    count=st.integers(1, 9),
    rate=st.floats(1e-6, 1e6),
    word=st.sampled_from(["yes", "no"]),
    sizes=st.lists(st.integers(0, 99), min_size=1, max_size=4),
    on=st.booleans(),
)
def test_plain_values_resolve_back_to_the_same_settings(count, rate, word, sizes, on):
    first = _resolve(count=count, rate=rate, word=word, sizes=sizes, on=on, place="a/b").settings
    assert resolve(Sample, flags={}, config=as_plain(first)).settings == first


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("count", 0, "smallest"),
        ("count", 10, "largest"),
        ("count", "three", "whole number"),
        ("count", 2.5, "whole number"),
        ("count", True, "whole number"),
        ("rate", 0, "greater"),
        ("rate", float("nan"), "not a number"),
        ("word", "maybe", "yes, no"),
        ("sizes", "1,x", "comma-separated"),
        ("sizes", [], "comma-separated"),
        ("sizes", "1,-2", "smallest"),
        ("on", "yes", "true or false"),
        ("count", None, None),
    ],
)
def test_wrong_types_and_ranges_are_usage_errors_that_say_why(name, value, word):
    if word is None:
        assert _resolve(**{name: value}).sources[name] == "default"  # None means "not given"
        return
    with pytest.raises(UsageError, match=word):
        _resolve(**{name: value})


def test_lists_may_be_typed_with_commas():
    assert _resolve(sizes="4, 5,6").settings.sizes == (4, 5, 6)


def test_a_setting_that_takes_words_takes_numbers_from_toml():
    assert resolve(Sample, flags={}, config={"free": 0.3}).settings.free == "0.3"


@given(passes=st.none() | st.integers(0, 99))
def test_a_number_left_to_the_data_is_written_by_a_word_where_none_is_not_the_default(passes):
    known = settings_of(Sample)
    assert [name for name in known if known[name].open_by_word] == ["passes"]
    written = OPEN if passes is None else passes
    assert resolve(Sample, flags={}, config={"passes": written}).settings.passes == passes
    for name in ("count", "limit"):
        with pytest.raises(UsageError, match="whole number"):
            resolve(Sample, flags={}, config={name: OPEN})


def test_flags_win_over_file_over_preset_over_run_over_default():
    layers = {
        "flags": {"count": 5},
        "config": {"count": 6, "rate": 6.0},
        "preset": {"count": 7, "rate": 7.0, "word": "no"},
        "run": {"count": 8, "rate": 8.0, "word": "yes", "on": False},
    }
    found = resolve(Sample, **layers)
    assert (found.settings.count, found.settings.rate, found.settings.word, found.settings.on) == (5, 6.0, "no", False)
    assert found.sources == {
        "count": "flag",
        "rate": "file",
        "word": "preset",
        "place": "default",
        "sizes": "default",
        "on": "run",
        "free": "default",
        "passes": "default",
        "limit": "default",
    }


def test_config_keys_may_have_dashes_and_typos_are_answered():
    assert resolve(Sample, flags={}, config={"count": 2}).settings.count == 2
    with pytest.raises(UsageError, match="Did you mean count"):
        resolve(Sample, flags={}, config={"coutn": 2})


@pytest.mark.parametrize("text", ["[a", "\xff\xfe", "loose = 1\n"])
def test_files_that_are_no_config_are_usage_errors_naming_the_file(tmp_path, text):
    path = tmp_path / "c.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=r"c\.toml"):
        read_config(path, "train-cls")


def test_a_missing_config_file_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="cannot read"):
        read_config(tmp_path / "none.toml", "train-cls")


def test_a_table_of_no_command_is_answered_instead_of_passed_over(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text("[trian-seg]\nepochs = 3\n[train_cls]\nepochs = 2\n")
    with pytest.raises(UsageError, match=r"unknown table \[trian-seg\]. Did you mean \[train-seg\]"):
        read_config(path, "train-cls", tables=("train-cls", "train-seg"))
    path.write_text("[train_cls]\nepochs = 2\n")
    assert read_config(path, "train-cls", tables=("train-cls", "train-seg")) == {"epochs": 2}


def test_config_files_may_begin_with_a_byte_order_mark(tmp_path):
    path = tmp_path / "c.toml"
    path.write_bytes(b"\xef\xbb\xbf[train-cls]\nepochs = 2\n")
    assert read_config(path, "train-cls") == {"epochs": 2}


def test_presets_name_only_settings_that_exist_and_values_that_fit():
    from recam_cli.core.settings.make_masks import MakeMasksSettings
    from recam_cli.core.settings.make_seeds import MakeSeedsSettings
    from recam_cli.core.settings.train_cls import TrainClsSettings
    from recam_cli.core.settings.train_seg import TrainSegSettings

    classes = {
        "train-cls": TrainClsSettings,
        "make-seeds": MakeSeedsSettings,
        "make-masks": MakeMasksSettings,
        "train-seg": TrainSegSettings,
    }
    for name, stages in PRESETS.items():
        for stage, values in stages.items():
            assert set(values) <= set(settings_of(classes[stage])), (name, stage)
            resolve(classes[stage], flags={}, preset=values)


def test_every_data_set_has_a_preset_of_its_own():
    for dataset, name in BY_DATASET.items():
        assert preset_values("auto", dataset, "train-cls") == PRESETS[name].get("train-cls", {})
    with pytest.raises(UsageError, match="auto"):
        preset_values("imagenet", "voc", "train-cls")
