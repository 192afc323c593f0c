"""Re-activation against the published K×C×h×w form: time and extra memory, forward and backward.

Run: pytest -m bench -s tests/benchmarks/bench_reactivation.py
"""

from __future__ import annotations

import time

import pytest
import torch

from recam_cli.core.cams.reactivation import reactivate, reactivation_loss
from tests.benchmarks.published_recam import published_loss

BATCH, CLASSES, CHANNELS, SIDE = 8, 20, 2048, 16
RUNS = 5


def _ours(features, fc1, fc2, targets):
    return reactivation_loss(reactivate(features, fc1, targets), fc2, len(features))


def _inputs():
    generator = torch.Generator().manual_seed(0)
    features = torch.rand(BATCH, CHANNELS, SIDE, SIDE, generator=generator)
    weights = [torch.randn(CLASSES, CHANNELS, generator=generator) * 0.05 for _ in range(2)]
    targets = (torch.rand(BATCH, CLASSES, generator=generator) < 0.08).float()
    targets[:, 0] = 1  # 1 to 4 classes per image, as in VOC
    return [t.requires_grad_() for t in (features, *weights)], targets


def _step(function, leaves, targets):
    for leaf in leaves:
        leaf.grad = None
    loss = function(*leaves, targets)
    loss.backward()
    return loss.detach()


def _peak_bytes(function, leaves, targets):
    """Largest sum of live allocations made during one step, from torch's own allocation events."""
    for leaf in leaves:
        leaf.grad = None
    with torch.profiler.profile(profile_memory=True, activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        _step(function, leaves, targets)
    live = peak = 0
    events = [e for e in profile.profiler.kineto_results.events() if e.name() == "[memory]"]
    for event in sorted(events, key=lambda e: e.start_ns()):
        live += event.nbytes()
        peak = max(peak, live)
    return peak


def _seconds(function, leaves, targets):
    _step(function, leaves, targets)
    times = []
    for _ in range(RUNS):
        begun = time.perf_counter()
        _step(function, leaves, targets)
        times.append(time.perf_counter() - begun)
    return sorted(times)[RUNS // 2]


@pytest.mark.bench
def test_reactivation_is_ten_times_faster_and_needs_a_fiftieth_of_the_memory():
    leaves, targets = _inputs()
    ours, published = _step(_ours, leaves, targets), None
    our_gradients = [leaf.grad.clone() for leaf in leaves]
    published = _step(published_loss, leaves, targets)
    worst = max(float((a - leaf.grad).abs().max()) for a, leaf in zip(our_gradients, leaves, strict=True))
    seconds = [_seconds(f, leaves, targets) for f in (_ours, published_loss)]
    # What both must hand back, the gradients of the inputs, is not extra.
    returned = sum(leaf.numel() * 4 for leaf in leaves)
    extra = [_peak_bytes(f, leaves, targets) - returned for f in (_ours, published_loss)]
    print(f"\nB={BATCH} K={CLASSES} C={CHANNELS} {SIDE}x{SIDE}, {int(targets.sum())} present classes")
    print(f"loss difference {abs(float(ours - published)):.2e}, largest gradient difference {worst:.2e}")
    print(
        f"forward+backward: ours {seconds[0] * 1e3:.1f} ms, published {seconds[1] * 1e3:.1f} ms, "
        f"{seconds[1] / seconds[0]:.1f} times faster"
    )
    print(
        f"extra memory: ours {extra[0] / 2**20:.2f} MiB, published {extra[1] / 2**20:.1f} MiB, "
        f"{extra[1] / max(1, extra[0]):.0f} times less"
    )
    assert abs(float(ours - published)) < 1e-5
    assert worst < 1e-5
    assert seconds[1] > 10 * seconds[0]
    assert extra[1] > 50 * extra[0]
