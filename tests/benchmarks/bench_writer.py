"""What whole files cost: time in the writer's syncs as a share of each stage's; pytest -m bench -s <this file>.

Stages run one after the other on real photographs, in one process each (--workers 0), so that no time hides behind
other work. Also the time a snapshot takes.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time

import pytest

from tests.helpers.kills import server
from tests.helpers.real_data import mobilenet_weights, msrc_root

IMAGES, LIMIT = 48, 3.0
PLACE = ["--run", "run", "--device", "cpu", "--workers", 0]
SMALL = ["--irn-epochs", 1, "--threshold", 0.3]
STAGES = {
    "train-cls": ["train-cls", "--epochs", 1, "--recam-epochs", 1, "--val-split", "none"],
    "make-seeds": ["make-seeds"],
    "make-masks, cut only": ["make-masks", "--refine", "none", "--threshold", 0.3],
    "make-masks by CRF": ["make-masks", "--refine", "crf", "--threshold", 0.3, "--overwrite"],
    "make-masks by walks": ["make-masks", "--refine", "irn", *SMALL, "--overwrite"],
    "train-seg": ["train-seg", "--epochs", 1, "--predict-split", "train"],
    "predict": ["predict", "photos"],
}


@pytest.mark.bench
def test_share_of_the_syncs_in_each_stage(tmp_path):
    data = subset(msrc_root(), tmp_path / "data", tmp_path / "photos")
    first = ["--dataset", "custom", "--data-root", data, "--backbone", "mobilenet_v2", "--weights", mobilenet_weights()]
    shares = {}
    for stage, command in STAGES.items():
        measured = timed(tmp_path, *command, *(first if stage == "train-cls" else []), *PLACE)
        shares[stage] = 100 * measured["syncs"] / measured["whole"]
        each = 1000 * measured["syncs"] / max(1, measured["files"])
        print(
            f"\n{stage}: {measured['files']} files, syncs {measured['syncs']:.2f} s of {measured['whole']:.1f} s "
            f"= {shares[stage]:.2f} %, {each:.2f} ms per file; {measured['snapshots']} snapshots, "
            f"{measured['snapshot_seconds']:.2f} s",
            flush=True,
        )
    assert max(shares.values()) <= LIMIT


def subset(source, target, photos):
    """Copy the real data set, its training list cut short; the photographs on it also into `photos`."""
    shutil.copytree(source, target, copy_function=shutil.copyfile)
    listing = target / "ImageSets" / "Segmentation" / "train.txt"
    ids = listing.read_text().split()[:IMAGES]
    listing.write_text("\n".join(ids) + "\n")
    photos.mkdir()
    for name in ids:
        photo = next((target / "JPEGImages").glob(f"{name}.*"))
        shutil.copyfile(photo, photos / photo.name)
    return target


def timed(folder, *arguments):
    """Run `recam`; return seconds of the whole and of syncs, and how many files and snapshots were written."""
    process = server.Process(target=_timed, args=(str(folder), [str(a) for a in arguments]))
    process.start()
    process.join()
    assert process.exitcode == 0, (folder / "printed.txt").read_text()
    return json.loads((folder / "timed.json").read_text())


def _timed(folder, arguments):
    from recam_cli import __main__
    from recam_cli.core.runs import files
    from recam_cli.core.training.snapshots import Snapshots

    os.chdir(folder)
    sys.stderr = open("printed.txt", "w")  # noqa: SIM115, PTH123 - until the end of the process
    syncs = [_clock(files, "_sync_file"), _clock(files, "_sync_folder")]
    kept = _clock(Snapshots, "keep")
    sys.argv = ["recam", *arguments]
    begun, code = time.monotonic(), 0
    try:
        __main__.main()
    except SystemExit as end:
        code = int(end.code or 0)
    measured = {"whole": time.monotonic() - begun, "syncs": sum(one["seconds"] for one in syncs)}
    measured |= {"files": syncs[0]["calls"], "snapshots": kept["calls"], "snapshot_seconds": kept["seconds"]}
    with open("timed.json", "w") as file:  # noqa: PTH123 - the writer is what is measured
        json.dump(measured, file)
    sys.stderr.flush()
    os._exit(code)


def _clock(owner, name):
    """Let a function add up its calls and their time."""
    function, found = getattr(owner, name), {"calls": 0, "seconds": 0.0}

    def clocked(*arguments, **named):
        begun = time.monotonic()
        try:
            return function(*arguments, **named)
        finally:
            found["calls"] += 1
            found["seconds"] += time.monotonic() - begun

    setattr(owner, name, clocked)
    return found
