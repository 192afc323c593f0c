"""Prints by how many bytes the peak of this process's memory rises while it walks, "ours" or "dense" (Linux only).

python -m tests.benchmarks.walk_memory ours 94 125
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from recam_cli.core.affinity.walk import Transition
from tests.benchmarks.published_walk import dense_transition


def case(height, width, classes=3):
    """Return boundaries (1, h, w) and scores (1, classes, h, w), always the same."""
    generator = torch.Generator().manual_seed(0)
    edges = torch.rand(1, height, width, generator=generator) ** 3
    return edges, torch.rand(1, classes, height, width, generator=generator)


def _status(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def _walk(kind, edges, scores):
    if kind == "ours":
        Transition.within(edges).walk(scores)
    else:  # the first squaring holds as much as any
        transition = dense_transition(edges[0], dtype=torch.float32)
        scores[0].flatten(1) @ (transition @ transition)


if __name__ == "__main__":
    kind, height, width = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    _walk(kind, *case(12, 16))  # compiled, threads started
    edges, scores = case(height, width)
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before = _status("VmRSS")
    _walk(kind, edges, scores)
    print(_status("VmHWM") - before)
