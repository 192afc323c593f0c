"""The random walk against the published form, a dense matrix squared eight times: seconds and memory over image size.

    pytest -m bench -s tests/benchmarks/bench_walk.py

The dense form is measured as far as `RECAM_BENCH_DENSE` cells (default 3000: seconds; 11750, a quarter of a VOC image,
takes minutes and 2 GB), in single precision as published.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
import torch

from recam_cli.core.affinity.walk import Transition
from tests.benchmarks.published_walk import dense_transition, dense_walk
from tests.benchmarks.walk_memory import case

SIZES = ((24, 32), (36, 48), (47, 63), (94, 125), (120, 160))


def _ours(edges, scores):
    begun = time.perf_counter()
    transition = Transition.within(edges)
    walked = transition.walk(scores)
    return walked, time.perf_counter() - begun


def _dense(edges, scores):
    transition = dense_transition(edges[0], dtype=torch.float32)
    begun = time.perf_counter()
    flat = scores[0].flatten(1)
    for _ in range(8):
        transition = transition @ transition
    walked = (flat @ transition).view_as(scores[0])
    return walked, time.perf_counter() - begun


def _memory(kind, height, width):
    """Return the peak of extra memory in bytes, measured in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.walk_memory", kind, str(height), str(width)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.bench
def test_the_walk_is_hundreds_of_times_cheaper():
    most = int(os.environ.get("RECAM_BENCH_DENSE", "3000"))
    print(f"\n{'cells':>12} {'ours s':>9} {'dense s':>9} {'faster':>8} {'ours MB':>9} {'dense MB':>9} {'error':>9}")
    largest = None
    for height, width in SIZES:
        edges, scores = case(height, width)
        _ours(edges, scores)
        walked, seconds = min((_ours(edges, scores) for _ in range(3)), key=lambda found: found[1])
        held = _memory("ours", height, width)
        line = f"{height:>6}×{width:<5} {seconds:9.4f}"
        if height * width > most:
            print(f"{line} {'-':>9} {'-':>8} {held / 1e6:9.2f} {'-':>9} {'-':>9}")
            continue
        wanted, dense_seconds = _dense(edges, scores)
        dense_held = _memory("dense", height, width)
        error = float((walked[0] - wanted).abs().max() / wanted.max())
        exact = dense_walk(edges[0], scores[0]) if height * width <= 3000 else wanted
        assert float((walked[0] - exact).abs().max() / exact.max()) <= (1e-4 if height * width <= 3000 else 1e-3)
        print(
            f"{line} {dense_seconds:9.3f} {dense_seconds / seconds:7.0f}× {held / 1e6:9.2f} {dense_held / 1e6:9.0f} "
            f"{error:9.1e}"
        )
        largest = height * width, dense_seconds / seconds, held / dense_held
    assert largest is not None
    if largest[0] >= 94 * 125:
        assert largest[1] >= 150
        assert largest[2] <= 0.02
