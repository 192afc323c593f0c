"""Config files that cannot be meant are usage errors, quickly; sizes in pixels and factors do not quarrel."""

from __future__ import annotations

import os
import threading
import time

import pytest

from recam_cli.core.errors import UsageError
from recam_cli.core.settings.make_masks import MakeMasksSettings
from recam_cli.core.settings.make_seeds import MakeSeedsSettings
from recam_cli.core.settings.presets import preset_values
from recam_cli.core.settings.resolve import read_config, resolve
from recam_cli.core.settings.train_cls import TrainClsSettings
from recam_cli.core.settings.train_seg import TrainSegSettings


def refused(path, text, match):
    path.write_bytes(text)
    begun = time.process_time()
    with pytest.raises(UsageError, match=match):
        resolve(TrainClsSettings, flags={}, config=read_config(path, "train-cls"))
    assert time.process_time() - begun < 1


def test_keys_of_endless_parts_are_refused_before_they_are_parsed(tmp_path):
    for text in (b"a" + b".a" * 30_000 + b"=1", b"[" + b"a . " * 15_000 + b"a]", b"[[" + b'"a".' * 12_000 + b"a]]"):
        refused(tmp_path / "a.toml", text, r"a\.toml: line 1: more than 100 dots")


def test_nested_values_and_large_files_are_refused(tmp_path):
    refused(tmp_path / "a.toml", b"a = " + b"[" * 5000, "not a TOML file: nested too deeply")
    refused(tmp_path / "a.toml", b"#" * 70_000, "more than 64 kB")


def test_numbers_beyond_any_float_are_no_numbers(tmp_path):
    refused(tmp_path / "a.toml", b"[train-cls]\nlr = 1" + b"0" * 400, "is not a number")
    refused(tmp_path / "a.toml", b"[train-cls]\nlr = nan", "not a number")


def test_a_config_may_come_through_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_text("[train-cls]\nepochs = 3\n"))
    writer.start()
    assert read_config(tmp_path / "pipe", "train-cls") == {"epochs": 3}
    writer.join()


def test_a_factor_that_is_typed_wins_over_a_presets_length():
    preset = preset_values("small", "custom", "make-masks")
    assert resolve(MakeMasksSettings, flags={}, preset=preset).settings.walk_side == 640
    for given in ({"flags": {"walk_scale": 1.5}}, {"flags": {}, "config": {"walk-scale": 1.5}}):
        found = resolve(MakeMasksSettings, preset=preset, **given)
        assert (found.settings.walk_scale, found.settings.walk_side) == (1.5, 0)
        assert found.sources["walk_side"] == "default"
        assert found.settings.irn_side == (448, 960)
    both = resolve(MakeMasksSettings, flags={"walk_scale": 1.5, "walk_side": 320}, preset=preset)
    assert both.settings.walk_side == 320


def test_the_preset_for_small_data_means_the_factors_it_had_for_photographs_of_320_pixels():
    masks = preset_values("small", "custom", "make-masks")
    seg = preset_values("small", "custom", "train-seg")
    assert masks["walk_side"] == 2.0 * 320
    assert masks["irn_side"] == (round(1.4 * 320), round(3.0 * 320))
    assert seg["side"] == (round(0.6 * 320), round(1.3 * 320))
    assert seg["predict_side"] == 320


@pytest.mark.parametrize("preset", ["voc", "coco"])
def test_published_presets_know_no_sizes_in_pixels(preset):
    seeds = resolve(MakeSeedsSettings, flags={}, preset=preset_values(preset, "voc", "make-seeds")).settings
    masks = resolve(MakeMasksSettings, flags={}, preset=preset_values(preset, "voc", "make-masks")).settings
    seg = resolve(TrainSegSettings, flags={}, preset=preset_values(preset, "voc", "train-seg")).settings
    cls = resolve(TrainClsSettings, flags={}, preset=preset_values(preset, "voc", "train-cls")).settings
    assert {one.work_side for one in (seeds, masks, seg, cls)} == {0}
    assert seeds.longest == 0 and not any((*seeds.sides, masks.walk_side, *masks.irn_side, *seg.side, seg.predict_side))


def test_photographs_are_read_as_large_as_the_largest_map_needs():
    assert resolve(MakeSeedsSettings, flags={"sides": "192,1024", "work_side": 640}).settings.longest == 1024
    assert resolve(MakeSeedsSettings, flags={"sides": "192", "work_side": 640}).settings.longest == 640
