"""The whole pipeline on real photographs: every figure of quality, time and memory, CAM beside ReCAM.

    RECAM_BENCH_SEEDS=3 RECAM_BENCH_OUT=runs/bench pytest -m bench -s tests/benchmarks/bench_msrc.py

Runs the command line as a user does. Finished runs in RECAM_BENCH_OUT are used again, so an interrupted benchmark
goes on where it was. About a quarter of an hour per seed on two cores.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import mean

import numpy as np
import pytest

from recam_cli.core.cams.store import read_seed
from recam_cli.core.data.custom import open_custom
from recam_cli.core.data.images import read_image, read_mask
from recam_cli.core.masks.pool import run_over
from recam_cli.core.masks.refine import SeedRefiner
from recam_cli.core.metrics.confusion import ConfusionMatrix
from tests.helpers.real_data import mobilenet_weights, msrc_root

OFFSETS = (-0.15, -0.1, -0.05, 0.0, 0.05, 0.1, 0.15)
"""Thresholds swept for the CRF masks, around the label-free one."""


@dataclass(frozen=True)
class SweepJob:
    """CRF masks of one image at several thresholds, as confusion counts written beside the seeds."""

    seeds: Path
    thresholds: tuple[float, ...]
    num_values: int
    out: Path

    def __call__(self, sample):
        truth = read_mask(sample.mask)
        refiner = SeedRefiner(read_image(sample.image), read_seed(self.seeds / f"{sample.id}.npz"))
        counts = []
        for threshold in self.thresholds:
            confusion = ConfusionMatrix(self.num_values)
            confusion.update(truth, refiner.mask(threshold))
            counts.append(confusion.counts)
        np.savez(self.out / f"{sample.id}.npz", counts=np.stack(counts))


def crf_sweep(run, suffix, images, label_free, out):
    """Return the mIoU in percent of CRF masks by threshold."""
    thresholds = tuple(round(min(0.98, max(0.02, label_free + offset)), 4) for offset in OFFSETS)
    out.mkdir(parents=True, exist_ok=True)
    job = SweepJob(run / f"seeds{suffix}", thresholds, len(images.classes) + 1, out)
    todo = [s for s in images if not (out / f"{s.id}.npz").is_file()]
    run_over(job, todo, lambda sample, result: None, workers=os.cpu_count() or 1, name_of=lambda s: s.id)
    total = sum(np.load(out / f"{s.id}.npz")["counts"] for s in images)
    scores = {}
    for threshold, counts in zip(thresholds, total, strict=True):
        hit = np.diag(counts)
        scores[threshold] = float(100 * np.nanmean(hit / (counts.sum(0) + counts.sum(1) - hit)))
    return scores


def _recam(*arguments):
    """Run one command; return its JSON, seconds and peak memory in MiB of the largest process so far."""
    begun = time.monotonic()
    command = [sys.executable, "-m", "recam_cli", *map(str, arguments), "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return json.loads(done.stdout), time.monotonic() - begun, peak


def _stage(run, name, *arguments):
    """Run a stage unless the run has it; return the seconds its manifest records."""
    manifest = run / "manifest.json"
    entry = json.loads(manifest.read_text())["stages"].get(name, {}) if manifest.is_file() else {}
    if entry.get("state") != "done":
        _recam(*arguments, "--run", run)
    return json.loads(manifest.read_text())["stages"][name]["seconds"]


def _measure_seed(seed, out):
    root, run = msrc_root(), out / f"seed{seed}"
    data = ["--dataset", "custom", "--data-root", root, "--backbone", "mobilenet_v2", "--weights", mobilenet_weights()]
    seconds = {"train-cls": _stage(run, "train-cls", "train-cls", *data, "--seed", seed)}
    figures = {}
    images = open_custom(root, "train")
    for method, suffix in (("recam", ""), ("cam", "-cam")):
        chosen = ["--method", method]
        seconds[f"make-seeds{suffix}"] = _stage(run, f"make-seeds{suffix}", "make-seeds", *chosen)
        seconds[f"make-masks{suffix}"] = _stage(run, f"make-masks{suffix}", "make-masks", *chosen)
        seeds, *_ = _recam("evaluate", "--of", "seeds", "--run", run, *chosen)
        masks, *_ = _recam("evaluate", "--of", "masks", "--run", run, *chosen)
        label_free = json.loads((run / "manifest.json").read_text())["stages"][f"make-masks{suffix}"]["notes"][
            "threshold"
        ]
        swept = crf_sweep(run, suffix, images, label_free, run / f"sweep{suffix}")
        figures[method] = {
            "seeds": seeds["miou"],
            "seeds label-free": seeds["label_free"]["miou"],
            "masks": max(swept.values()),
            "masks label-free": masks["miou"],
            "best threshold": max(swept, key=swept.get),
            "label-free threshold": label_free,
        }
    return figures, seconds


def _measure_segmenter(run):
    seconds, scores = {}, {}
    for labels, suffix in (("masks", ""), ("truth", "-truth")):
        seconds[f"train-seg{suffix}"] = _stage(run, f"train-seg{suffix}", "train-seg", "--labels", labels)
        method = "truth" if labels == "truth" else "run"
        scores[labels] = _recam("evaluate", "--of", "segmentation", "--method", method, "--run", run)[0]["miou"]
    return scores, seconds


@pytest.mark.bench
def test_the_pipeline_on_real_photographs(tmp_path):
    out = Path(os.environ.get("RECAM_BENCH_OUT", tmp_path))
    results = [_measure_seed(seed, out) for seed in range(int(os.environ.get("RECAM_BENCH_SEEDS", "1")))]
    for seed, (figures, _) in enumerate(results):
        for method, values in figures.items():
            print(f"\nseed {seed} {method:5}", {name: round(value, 4) for name, value in values.items()}, end="")
    average = partial(_average, results)
    segmenter, seg_seconds = _measure_segmenter(out / "seed0")
    seconds = results[0][1] | seg_seconds
    six = sum(seconds[name] for name in ("train-cls", "make-seeds", "make-masks", "train-seg"))
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    share = 100 * segmenter["masks"] / segmenter["truth"]
    gap = max(f["masks"] - f["masks label-free"] for figures, _ in results for f in figures.values())
    lines = [
        (f"ReCAM seeds - CAM seeds, mean of {len(results)}", average("recam", "seeds") - average("cam", "seeds"), 2.5),
        ("ReCAM+CRF - CAM+CRF", average("recam", "masks") - average("cam", "masks"), 4.0),
        ("ReCAM+CRF masks, best threshold", average("recam", "masks"), 71.0),
        ("segmenter on true masks, val", segmenter["truth"], 78.0),
        ("segmenter on our masks, share of that", share, 85.0),
        ("label-free threshold below the best, masks", -gap, -2.0),
        ("minutes of training, seeds, masks, segmenter", -six / 60, -15.0),
        ("peak memory of one process, GiB", -peak / 1024, -3.0),
    ]
    print("\n", {name: round(value, 1) for name, value in seconds.items()}, segmenter)
    for name, value, target in lines:
        print(
            f"{name:48} {abs(value):7.2f}   wanted {'≥' if target > 0 else '≤'} {abs(target):g}   "
            f"{'reached' if value >= target else 'FELL SHORT'}"
        )
    assert all(value >= target for _, value, target in lines)


def _average(results, method, name):
    return mean(figures[method][name] for figures, _ in results)
