"""What a threshold curve costs in time and memory, against labelling the seeds for a single threshold.

Run with: pytest -m bench -s tests/benchmarks/bench_sweep.py
"""

from __future__ import annotations

import statistics
import time
import tracemalloc

import cv2
import numpy as np
import pytest

from recam_cli.core.cams.store import STRIDE, Seed
from recam_cli.core.metrics.confusion import ConfusionMatrix
from recam_cli.core.metrics.sweep import SeedSweep, threshold_grid

SIZE = (375, 500)
CLASSES = 20
THRESHOLDS = 60
ALLOWED = 2.0


def smooth_images(count: int, seed: int = 0) -> list[tuple[np.ndarray, Seed]]:
    """Return VOC-sized true masks and seeds with one to three smooth maps."""
    rng = np.random.default_rng(seed)
    height, width = (-(-side // STRIDE) for side in SIZE)
    images = []
    for index in range(count):
        classes = np.sort(rng.choice(CLASSES, 1 + index % 3, replace=False))
        maps = [cv2.GaussianBlur(rng.random((height, width), dtype=np.float32), (0, 0), 6) for _ in classes]
        scaled = np.stack([np.maximum((m - m.min()) / (m.max() - m.min()) - 0.4, 0) / 0.6 for m in maps])
        seed_ = Seed(classes, scaled.astype(np.float16).astype(np.float32), SIZE)
        truth = np.roll(seed_.label(0.4), 20, axis=1)
        truth[::50] = 255
        images.append((truth, seed_))
    return images


def label_once(images: list[tuple[np.ndarray, Seed]], threshold: float) -> ConfusionMatrix:
    """Score one threshold the plain way: label each seed, count its pixels."""
    confusion = ConfusionMatrix(CLASSES + 1)
    for truth, seed in images:
        confusion.update(truth, seed.label(threshold))
    return confusion


def sweep(images: list[tuple[np.ndarray, Seed]], thresholds: int) -> SeedSweep:
    """Score `thresholds` thresholds in one pass, curve included."""
    result = SeedSweep(CLASSES + 1, threshold_grid(thresholds))
    for truth, seed in images:
        result.add(truth, seed.upsampled(), seed.classes)
    result.curve()
    return result


def measure(repeats: int = 7, count: int = 18) -> dict[str, float]:
    """Return milliseconds per image of each way (median of interleaved repeats) and peak memory in MB."""
    images = smooth_images(count)
    ways = {
        "one threshold, labelled": lambda: label_once(images, 0.4),
        "one threshold, swept": lambda: sweep(images, 1),
        "60 thresholds, swept": lambda: sweep(images, THRESHOLDS),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats + 1):
        for name, way in ways.items():
            begun = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - begun)
    figures = {name: 1000 * statistics.median(values[1:]) / count for name, values in seconds.items()}
    for times in (1, 10):
        tracemalloc.start()
        sweep(images * times, THRESHOLDS)
        figures[f"peak MB, {count * times} images"] = tracemalloc.get_traced_memory()[1] / 1e6
        tracemalloc.stop()
    figures["MB of counts, 80 classes and 100 thresholds"] = SeedSweep(81, threshold_grid(100)).nbytes / 1e6
    return figures


@pytest.mark.bench
def test_a_curve_of_60_thresholds_costs_at_most_twice_a_single_one() -> None:
    figures = measure()
    for name, value in figures.items():
        print(f"{name:45s} {value:8.3f}")
    curve = figures["60 thresholds, swept"]
    print(f"{'curve / one threshold, labelled':45s} {curve / figures['one threshold, labelled']:8.2f}")
    print(f"{'curve / one threshold, swept':45s} {curve / figures['one threshold, swept']:8.2f}")
    assert curve <= ALLOWED * figures["one threshold, labelled"]
    assert curve <= ALLOWED * figures["one threshold, swept"]
    few, many = (value for name, value in figures.items() if name.startswith("peak MB"))
    assert many <= few + 0.1


if __name__ == "__main__":
    test_a_curve_of_60_thresholds_costs_at_most_twice_a_single_one()
