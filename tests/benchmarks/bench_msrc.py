"""The whole pipeline with CRF masks on real photographs: quality, time and memory, CAM beside ReCAM.

    RECAM_BENCH_SEEDS=3 RECAM_BENCH_OUT=runs/bench pytest -m bench -s tests/benchmarks/bench_msrc.py

Runs the command line as a user does. Finished runs in RECAM_BENCH_OUT are used again, so an interrupted benchmark
goes on where it was. About a quarter of an hour per seed on two cores.
"""

from __future__ import annotations

import json
import os
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
from recam_cli.core.masks.job import refinement_of
from recam_cli.core.masks.pool import run_over
from recam_cli.core.masks.refine import SeedRefiner
from recam_cli.core.metrics.confusion import ConfusionMatrix
from recam_cli.core.settings.make_masks import MakeMasksSettings
from recam_cli.core.settings.presets import preset_values
from recam_cli.core.settings.resolve import resolve
from tests.helpers.memory import MemoryWatch
from tests.helpers.real_data import mobilenet_weights, msrc_root

OFFSETS = (-0.06, -0.03, 0.0, 0.03, 0.06)
"""Thresholds swept for the CRF masks, around the label-free one."""


@dataclass(frozen=True)
class SweepJob:
    """CRF masks of one image at several thresholds, as confusion counts written beside the seeds."""

    seeds: Path
    thresholds: tuple[float, ...]
    settings: MakeMasksSettings
    num_values: int
    out: Path

    def __call__(self, sample):
        truth = read_mask(sample.mask)
        seed = read_seed(self.seeds / f"{sample.id}.npz")
        refiner = SeedRefiner(read_image(sample.image), seed, refinement_of(self.settings))
        counts = []
        for mask in refiner.masks(self.thresholds):
            confusion = ConfusionMatrix(self.num_values)
            confusion.update(truth, mask)
            counts.append(confusion.counts)
        np.savez(self.out / f"{sample.id}.npz", counts=np.stack(counts))


def crf_sweep(seeds, images, label_free, out):
    """Return the mIoU in percent of CRF masks made from the folder `seeds`, by threshold."""
    thresholds = tuple(round(min(0.98, max(0.02, label_free + offset)), 4) for offset in OFFSETS)
    out.mkdir(parents=True, exist_ok=True)
    settings = resolve(MakeMasksSettings, flags={}, preset=preset_values("small", "custom", "make-masks")).settings
    job = SweepJob(seeds, thresholds, settings, len(images.classes) + 1, out)
    todo = [s for s in images if not (out / f"{s.id}.npz").is_file()]
    run_over(job, todo, lambda sample, result: None, workers=os.cpu_count() or 1, name_of=lambda s: s.id)
    total = sum(np.load(out / f"{s.id}.npz")["counts"] for s in images)
    scores = {}
    for threshold, counts in zip(thresholds, total, strict=True):
        hit = np.diag(counts)
        scores[threshold] = float(100 * np.nanmean(hit / (counts.sum(0) + counts.sum(1) - hit)))
    return scores


def recam(*arguments):
    """Run one command; return its JSON, its wall-clock seconds, and the peak of its processes' memory in GiB."""
    begun = time.monotonic()
    command = [sys.executable, "-m", "recam_cli", *map(str, arguments), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        with MemoryWatch(process.pid) as memory:
            output = process.communicate()[0]
        assert process.returncode == 0, command
    return json.loads(output), time.monotonic() - begun, memory.peak / 2**30


def _measured(out, name, *arguments):
    """Run a command and note its seconds and memory in `out`, unless noted there already; return the notes.

    The folder `out` may be made by the command itself.
    """
    notes = out / "costs.json"
    known = json.loads(notes.read_text()) if notes.is_file() else {}
    if name not in known:
        _, seconds, peak = recam(*arguments)
        known[name] = {"seconds": seconds, "GiB": peak}
        notes.write_text(json.dumps(known, indent=1))
    return known[name]


def stage(run, name, *arguments):
    """Run a stage unless it was measured; return the seconds of the whole command."""
    return _measured(run, name, *arguments, "--run", run)["seconds"]


def _measure_seed(seed, out):
    root, run = msrc_root(), out / f"seed{seed}"
    data = ["--dataset", "custom", "--data-root", root, "--backbone", "mobilenet_v2", "--weights", mobilenet_weights()]
    seconds = {"train-cls": stage(run, "train-cls", "train-cls", *data, "--seed", seed)}
    figures = {}
    images = open_custom(root, "train")
    for method, suffix in (("recam", ""), ("cam", "-cam")):
        chosen = ["--method", method]
        seconds[f"make-seeds{suffix}"] = stage(run, f"make-seeds{suffix}", "make-seeds", *chosen)
        seconds[f"make-masks{suffix}"] = stage(run, f"make-masks{suffix}", "make-masks", *chosen, "--refine", "crf")
        seeds, *_ = recam("evaluate", "--of", "seeds", "--run", run, *chosen)
        masks, *_ = recam("evaluate", "--of", "masks", "--run", run, *chosen)
        label_free = json.loads((run / "manifest.json").read_text())["stages"][f"make-masks{suffix}"]["notes"][
            "threshold"
        ]
        swept = crf_sweep(run / f"seeds{suffix}", images, label_free, run / f"sweep{suffix}")
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
        seconds[f"train-seg{suffix}"] = stage(run, f"train-seg{suffix}", "train-seg", "--labels", labels)
        method = "truth" if labels == "truth" else "run"
        scores[labels] = recam("evaluate", "--of", "segmentation", "--method", method, "--run", run)[0]["miou"]
    for of in ("seeds", "masks", "segmentation"):
        seconds[f"evaluate {of}"] = stage(run, f"evaluate {of}", "evaluate", "--of", of)
    photo = next(iter(open_custom(msrc_root(), "val"))).image
    seconds["visualize"] = stage(run, "visualize", "visualize", photo)
    return scores, seconds


SIX = ("train-cls", "make-seeds", "make-masks", "train-seg", "evaluate", "visualize")


def _six(seconds):
    """Return the seconds of the six stages, evaluate being run on all it can score, without the comparisons."""
    return sum(value for name, value in seconds.items() if name.split()[0] in SIX)


def _peak(out):
    """Return the largest memory in GiB of any command measured in `out`, and which command that was."""
    costs = [
        (cost["GiB"], f"{path.parent.name} {name}")
        for path in sorted(out.glob("seed*/costs.json"))
        for name, cost in json.loads(path.read_text()).items()
    ]
    return max(costs)


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
    peak, largest = _peak(out)
    share = 100 * segmenter["masks"] / segmenter["truth"]
    gap = max(f["masks"] - f["masks label-free"] for figures, _ in results for f in figures.values())
    lines = [
        (f"ReCAM seeds - CAM seeds, mean of {len(results)}", average("recam", "seeds") - average("cam", "seeds"), 2.5),
        ("ReCAM+CRF - CAM+CRF", average("recam", "masks") - average("cam", "masks"), 4.0),
        ("ReCAM+CRF masks, best threshold", average("recam", "masks"), 71.0),
        ("segmenter on true masks, val", segmenter["truth"], 78.0),
        ("segmenter on our masks, share of that", share, 85.0),
        ("label-free threshold below the best, masks", -gap, -2.0),
        ("minutes of the six stages", -_six(seconds) / 60, -15.0),
        (f"peak memory of all processes, GiB ({largest})", -peak, -3.0),
    ]
    print("\n", {name: round(value, 1) for name, value in seconds.items()}, segmenter)
    for name, value, target in lines:
        print(
            f"{name:48} {value if target > 0 else -value:7.2f}   wanted {'≥' if target > 0 else '≤'} {abs(target):g}   "
            f"{'reached' if value >= target else 'FELL SHORT'}"
        )
    assert all(value >= target for _, value, target in lines)


def _average(results, method, name):
    return mean(figures[method][name] for figures, _ in results)
