"""Compiled loops check no index: here they are compiled once more, with checks, and run at the edges of their grids."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

WALKS = """
import torch
from recam_cli.core.affinity.walk import Transition

for height in range(1, 8):
    for width in range(1, 8):
        for radius in (2, 5, 10):
            walk = Transition.within(torch.rand(2, height, width), radius=radius)
            walk.walk(torch.rand(2, 3, height, width), 2)
"""
LATTICES = """
import numpy as np
from recam_cli.core.masks.native_crf import native_inference

rng = np.random.default_rng(0)
for height, width in ((1, 1), (1, 9), (7, 1), (2, 2), (12, 17)):
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    infer = native_inference(image, gaussian=(3, 3), bilateral=(50, 5, 10), iterations=2, threads=1)
    for labels in (2, 3, 6, 14):
        infer([rng.random((labels, height, width), dtype=np.float32)])
"""
BEYOND = """
import numpy as np
from recam_cli.core.jit import jit

@jit
def beyond(values):
    return values[len(values)]

beyond(np.zeros(3))
"""


def checked(code: str, cache) -> subprocess.CompletedProcess[str]:
    path = cache / "checked.py"  # numba wants a file to cache by
    path.write_text(code)
    known = os.environ | {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(cache)}
    return subprocess.run([sys.executable, path], env=known, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize("code", [WALKS, LATTICES], ids=["walks", "lattices"])
def test_no_compiled_loop_reads_or_writes_outside_its_arrays(code, tmp_path):
    run = checked(code, tmp_path)
    assert run.returncode == 0, run.stderr


def test_an_index_outside_is_found_where_checks_are_on(tmp_path):
    run = checked(BEYOND, tmp_path)
    assert run.returncode == 1
    assert "IndexError: index is out of bounds" in run.stderr
