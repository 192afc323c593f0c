"""What whole files cost: time a stage waits for syncs as a share of all its time; pytest -m bench -s <this file>.

Stages run one after the other on real photographs, in one process each (--workers 0). A stage waits where its own
thread syncs, or waits for the threads that sync the files of items; what those take meanwhile is shown beside. Also the
time a snapshot takes.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
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

_waiting: list[str] = []


@pytest.mark.bench
def test_share_of_the_syncs_in_each_stage(tmp_path):
    data = subset(msrc_root(), tmp_path / "data", tmp_path / "photos")
    first = ["--dataset", "custom", "--data-root", data, "--backbone", "mobilenet_v2", "--weights", mobilenet_weights()]
    shares = {}
    for stage, command in STAGES.items():
        measured = timed(tmp_path, *command, *(first if stage == "train-cls" else []), *PLACE)
        shares[stage] = 100 * measured["waited"] / measured["whole"]
        print(
            f"\n{stage}: {measured['files']} files, waited {measured['waited']:.3f} s of {measured['whole']:.1f} s "
            f"= {shares[stage]:.2f} % ({measured['syncs']:.3f} s of syncs in all); "
            f"{measured['snapshots']} snapshots, {measured['snapshot_seconds']:.2f} s",
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
    from recam_cli.core.runs.commits import Commits
    from recam_cli.core.training.snapshots import Snapshots

    os.chdir(folder)
    sys.stderr = open("printed.txt", "w")  # noqa: SIM115, PTH123 - until the end of the process
    syncs = [_clock(files, "_sync_file"), _clock(files, "_sync_folder")]
    waits = [_clock(Commits, "_collect"), _clock(Commits, "__exit__")]
    kept = _clock(Snapshots, "keep")
    sys.argv = ["recam", *arguments]
    begun, code = time.monotonic(), 0
    try:
        __main__.main()
    except SystemExit as end:
        code = int(end.code or 0)
    measured = {"whole": time.monotonic() - begun, "syncs": sum(one["seconds"] for one in syncs)}
    measured["waited"] = sum(one["waited"] for one in (*syncs, *waits))
    measured |= {"files": syncs[0]["calls"], "snapshots": kept["calls"], "snapshot_seconds": kept["seconds"]}
    with open("timed.json", "w") as file:  # noqa: PTH123 - the writer is what is measured
        json.dump(measured, file)
    sys.stderr.flush()
    os._exit(code)


def _clock(owner, name):
    """Let a function add up its calls, their time, and what of it the main thread waited, each second once."""
    function, found = getattr(owner, name), {"calls": 0, "seconds": 0.0, "waited": 0.0}

    def clocked(*arguments, **named):
        outermost = threading.current_thread() is threading.main_thread() and not _waiting
        if outermost:
            _waiting.append(name)
        begun = time.monotonic()
        try:
            return function(*arguments, **named)
        finally:
            took = time.monotonic() - begun
            found["calls"] += 1
            found["seconds"] += took
            if outermost:
                found["waited"] += took
                _waiting.pop()

    setattr(owner, name, clocked)
    return found
