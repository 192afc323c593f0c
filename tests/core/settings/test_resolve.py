"""Config files that cannot be meant are usage errors, quickly."""

from __future__ import annotations

import os
import threading
import time

import pytest

from recam_cli.core.errors import UsageError
from recam_cli.core.settings.resolve import read_config, resolve
from recam_cli.core.settings.train_cls import TrainClsSettings


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
