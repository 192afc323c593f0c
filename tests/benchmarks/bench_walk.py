"""The random walk against the published form, a dense matrix squared eight times: seconds and memory over image size.

    pytest -m bench -s tests/benchmarks/bench_walk.py

The dense form is measured as far as `RECAM_BENCH_DENSE` cells (default 3000: seconds; 11750, a quarter of a VOC image,
takes minutes and 2 GB), in single precision as published.
"""

from __future__ import annotations

import os
import time

import pytest
import torch

from recam_cli.core.affinity.walk import Transition
from tests.benchmarks.published_walk import dense_transition, dense_walk

SIZES = ((24, 32), (36, 48), (47, 63), (94, 125), (120, 160))
CLASSES = 3


def _ours(edges, scores):
    begun = time.perf_counter()
    transition = Transition.within(edges)
    walked = transition.walk(scores)
    seconds = time.perf_counter() - begun
    # What exists at once beside the result: the weights, and per product four maps and a flow.
    held = sum(w.numel() for w in transition.weights) + transition.degrees.numel() * 3 + 6 * scores.numel()
    return walked, seconds, 4 * held


def _dense(edges, scores):
    transition = dense_transition(edges[0], dtype=torch.float32)
    begun = time.perf_counter()
    flat = scores[0].flatten(1)
    for _ in range(8):
        transition = transition @ transition
    walked = (flat @ transition).view_as(scores[0])
    return walked, time.perf_counter() - begun, 3 * 4 * transition.numel()


@pytest.mark.bench
def test_the_walk_is_hundreds_of_times_cheaper():
    most = int(os.environ.get("RECAM_BENCH_DENSE", "3000"))
    print(f"\n{'cells':>12} {'ours s':>9} {'dense s':>9} {'faster':>8} {'ours MB':>9} {'dense MB':>9} {'error':>9}")
    largest = None
    for height, width in SIZES:
        generator = torch.Generator().manual_seed(0)
        edges = torch.rand(1, height, width, generator=generator) ** 3
        scores = torch.rand(1, CLASSES, height, width, generator=generator)
        _ours(edges, scores)
        walked, seconds, held = min((_ours(edges, scores) for _ in range(3)), key=lambda found: found[1])
        line = f"{height:>6}×{width:<5} {seconds:9.4f}"
        if height * width > most:
            print(f"{line} {'-':>9} {'-':>8} {held / 1e6:9.2f} {3 * 4 * (height * width) ** 2 / 1e6:9.0f} {'-':>9}")
            continue
        wanted, dense_seconds, dense_held = _dense(edges, scores)
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
