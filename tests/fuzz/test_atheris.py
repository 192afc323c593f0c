"""Coverage-guided fuzzing of the parsers written here: `pytest -m fuzz -s tests/fuzz/test_atheris.py`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

RUNS = int(os.environ.get("RECAM_ATHERIS_RUNS", "20000"))
PARSERS = (
    "labels CSV",
    "labels JSON",
    "annotation",
    "config",
    "split list",
    "classes",
    "seed",
    "manifest",
    "check cache",
)
PARSERS = (*PARSERS, "archive", "snapshot", "weights safetensors", "metrics log")
SLOW = {"metrics log": 20, "archive": 4, "snapshot": 4, "weights safetensors": 4, "seed": 2}
"""How many times fewer runs a reader gets."""


@pytest.mark.fuzz
@pytest.mark.parametrize("reader", PARSERS)
def test_no_input_that_coverage_leads_to_gives_an_untyped_exception(reader, tmp_path):
    pytest.importorskip("atheris")
    runs = RUNS // SLOW.get(reader, 1)
    command = [sys.executable, "-W", "ignore", "-m", "tests.fuzz.atheris_target", reader, f"-runs={runs}", "-seed=1"]
    command += ["-timeout=20", "-rss_limit_mb=4096", "-max_len=65536", f"-artifact_prefix={tmp_path}/"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[2]), environment.get("PYTHONPATH", "")])
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False, env=environment)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    made = re.search(r"Done (\d+) (?:runs|in)", done.stderr)
    assert made and int(made[1]) >= runs
    print(f"\n{reader}: {made[1]} coverage-guided inputs tried, 0 untyped exceptions", flush=True)
