"""Whether memory, open files and processes stay flat over many items: pytest -m bench -s <this file>.

Each item stage goes over 20,000 small photographs (RECAM_BENCH_ITEMS: how many) in a process of its own, which counts
its items and watches the memory of itself and of its workers, its open files and its processes. Growth is the slope of
a line through the samples between a quarter and 95 % of the items.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from recam_cli.core.data.images import write_image, write_mask
from tests.helpers.kills import server
from tests.helpers.memory import tree_rss
from tests.helpers.tiny_data import TINY_CLASSES, draw_photo
from tests.helpers.tiny_run import add_segmenter, make_run

ITEMS = int(os.environ.get("RECAM_BENCH_ITEMS", "20000"))
SIZE, DISTINCT = (32, 40), 60
LIMIT = 8 << 20
"""Bytes per 10,000 items: what their names and results take, which a stage keeps to the end."""
CPU = ["--device", "cpu", "--precision", "fp32", "--run", "run"]
STAGES = {
    "check-data": ["check-data", "--dataset", "custom", "--data-root", "many"],
    "make-seeds": ["make-seeds", "--scales", "1", "--no-flip", *CPU],
    "make-masks, cut only": ["make-masks", "--refine", "none", "--threshold", 0.3, *CPU],
    "make-masks by CRF": ["make-masks", "--refine", "crf", "--threshold", "auto", "--overwrite", *CPU],
    "make-masks by walks": [
        *[
            "make-masks",
            "--refine",
            "irn",
            "--threshold",
            0.3,
            "--overwrite",
            "--irn-epochs",
            1,
            "--irn-batch-size",
            32,
        ],
        *["--irn-crop", 32, "--irn-radius", 3, "--walk-steps", 8, "--walk-scale", 1, *CPU],
    ],
    "evaluate": ["evaluate", "--of", "masks", "--run", "run"],
    "predict": ["predict", "many/JPEGImages", "--no-flip", *CPU],
}


@pytest.mark.bench
def test_growth_over_many_items(tmp_path):
    run = make_run(tmp_path, masks=False)
    add_segmenter(run)
    many(tmp_path / "many")
    run.manifest.stages["train-cls"].settings["data_root"] = str(tmp_path / "many")
    run.manifest.save(run.path)
    growths = {}
    for stage, command in STAGES.items():
        begun = time.monotonic()
        for title, samples in watched(tmp_path, *command).items():
            growth, files, processes = flatness(np.array(samples))
            growths[stage, title] = growth
            print(
                f"\n{stage}, {title}: {samples[-1][0]} items in {time.monotonic() - begun:.0f} s, "
                f"{growth / 2**20:+.2f} MB per 10,000 items (at most {max(s[1] for s in samples) / 2**20:.0f} MB), "
                f"open files {files}, processes {processes}",
                flush=True,
            )
            assert files[1] - files[0] <= 2
            assert processes[1] - processes[0] <= 0
    assert max(growths.values()) < LIMIT


def flatness(samples):
    """Return bytes per 10,000 items, and the median of open files and processes before and after half of the items."""
    share = samples[:, 0] / samples[-1, 0]
    growth = np.polyfit(*samples[(share >= 0.25) & (share <= 0.95), :2].T, 1)[0] * 10_000
    halves = samples[(share >= 0.1) & (share < 0.5)], samples[(share >= 0.5) & (share <= 0.95)]
    return growth, *(tuple(int(np.median(half[:, column])) for half in halves) for column in (2, 3))


def many(root):
    """Make a custom data set of many photographs: links to a few."""
    photos, masks = root / "JPEGImages", root / "SegmentationClass"
    rows, names = ["image,labels"], []
    for number in range(ITEMS):
        first, name = number % DISTINCT, f"photo_{number:06d}"
        if number < DISTINCT:
            photo, mask = draw_photo((first % 3,), size=SIZE, seed=first)
            write_image(photos / f"{name}.jpg", photo)
            write_mask(masks / f"{name}.png", mask)
        else:
            os.link(photos / f"photo_{first:06d}.jpg", photos / f"{name}.jpg")
            os.link(masks / f"photo_{first:06d}.png", masks / f"{name}.png")
        names.append(name)
        rows.append(f"{name},{TINY_CLASSES[first % 3]}")
    listing = root / "ImageSets" / "Segmentation"
    listing.mkdir(parents=True)
    (listing / "train.txt").write_text("\n".join(names) + "\n")
    (listing / "val.txt").write_text("\n".join(names) + "\n")
    (root / "labels.csv").write_text("\n".join(rows) + "\n")
    (root / "classes.txt").write_text("\n".join(TINY_CLASSES) + "\n")


def watched(folder: Path, *arguments):
    """Run `recam`; return for each bar over many items its samples: items, bytes, open files, processes."""
    process = server.Process(target=_watched, args=(str(folder), [str(a) for a in arguments]))
    process.start()
    process.join()
    assert process.exitcode == 0, (folder / "printed.txt").read_text()
    found = json.loads((folder / "watched.json").read_text())
    return {title: samples for title, samples in found.items() if samples and samples[-1][0] >= ITEMS / 2}


def _watched(folder, arguments):
    from recam_cli import __main__, terminal

    os.chdir(folder)
    sys.stderr = sys.stdout = open("printed.txt", "w")  # noqa: SIM115, PTH123 - until the end of the process
    found, at = {}, {"title": "", "items": 0}
    advance = terminal._PlainBar.advance

    def counted(bar, count=1, **figures):
        if bar._title != at["title"]:
            at.update(title=bar._title, items=0)
        at["items"] += count
        advance(bar, count, **figures)

    def sample():
        while True:
            time.sleep(0.25)
            if at["items"]:
                here = [at["items"], tree_rss(os.getpid()), len(os.listdir("/proc/self/fd")), _processes()]  # noqa: PTH208
                found.setdefault(at["title"], []).append(here)

    terminal._PlainBar.advance = counted
    threading.Thread(target=sample, daemon=True).start()
    sys.argv, code = ["recam", *arguments], 0
    try:
        __main__.main()
    except SystemExit as end:
        code = int(end.code or 0)
    Path("watched.json").write_text(json.dumps(found))
    sys.stderr.flush()
    os._exit(code)


def _processes():
    return 1 + sum(len(task.read_text().split()) for task in Path("/proc/self/task").glob("*/children"))
