"""How soon `recam --help` answers: the middle of eleven calls, a new process each.

pytest -m bench -s tests/benchmarks/bench_help.py
"""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median

import pytest

WANTED = 0.3


@pytest.mark.bench
def test_help_answers_at_once():
    seconds = []
    for _ in range(11):
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-m", "recam_cli", "--help"], stdout=subprocess.DEVNULL, check=True)
        seconds.append(time.perf_counter() - begun)
    print(f"\nrecam --help: {median(seconds):.3f} s, best {min(seconds):.3f} s   wanted ≤ {WANTED} s")
    assert median(seconds) <= WANTED
