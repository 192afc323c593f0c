"""The small valid files behind the readers, where making them takes more than a line."""

from __future__ import annotations

import atexit
import io
import json
import shutil
import socket
import tarfile
import tempfile
import threading
import urllib.request
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import nn

from recam_cli.core.models.backbones import BACKBONES, BackboneSpec, build_backbone
from recam_cli.core.reporter import SilentReporter
from recam_cli.core.runs.manifest import Manifest, Output, StageEntry
from recam_cli.core.runs.run import Run
from recam_cli.core.training.snapshot_files import Snapshot, SnapshotFolder, require_snapshot
from recam_cli.core.training.snapshots import Position, Snapshots, seconds_of

TINY = Path(tempfile.mkdtemp(prefix="recam-fuzz-"))
"""Where valid files are made."""
atexit.register(shutil.rmtree, TINY, ignore_errors=True)


class _Stages(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        sizes = (3, 8, 8, 8, 8, 8)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(b))
            for a, b in pairwise(sizes)
        )


def tiny_backbone(stride: int) -> Any:
    """Return a backbone whose files are small and quickly read; from here on it is in the registry."""
    BACKBONES["tiny"] = BackboneSpec(_Stages, lambda model: list(model.layers), (8,) * 5, "None")
    torch.manual_seed(0)
    return build_backbone("tiny", stride=stride)


def tiny_state() -> dict[str, torch.Tensor]:
    """Return weights of the tiny backbone as torchvision's files hold them."""
    tiny_backbone(16)
    return _Stages().state_dict()


def _tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name in ("JPEGImages/a.jpg", "Annotations/a.xml", "SegmentationClass/" + "long" * 30 + ".png"):
            member = tarfile.TarInfo(f"VOCdevkit/VOC2012/{name}")
            member.size = 700
            tar.addfile(member, io.BytesIO(b"x" * 700))
    return buffer.getvalue()


ARCHIVE = _tar()

EVALUATION = json.dumps(
    {
        "of": "seeds",
        "curve": [[0.0, 20.0], [0.1, 55.5], [0.2, None]],
        "label_free": {"threshold": 0.1, "miou": 55.5},
        "coverage": [{"threshold": 0.5, "coverage": 80.0, "precision": 90.0, "recall": 70.0}],
    }
).encode()


def manifest() -> bytes:
    """Return the manifest of a run that was trained, made seeds and masks and was evaluated."""
    cls = StageEntry(
        state="done",
        command="recam train-cls",
        settings={"dataset": "custom", "method": "recam", "seed": 0, "lr": 0.1, "max_pixels": 1000, "split": "train"},
        sources={"seed": "flag"},
        notes={"backbone": "resnet18", "preset": "small", "classes": ["bus", "cat"]},
        metrics={"cam_map": 90.5, "recam_map": 91.0, "map": 91.0, "average_precision": {"bus": 90.0, "cat": None}},
        fingerprint="a",
        seconds=12.5,
    )
    seeds = StageEntry(state="done", settings={"split": "train"}, inputs={"train-cls": "a"}, fingerprint="b")
    masks = StageEntry(state="done", settings={"refine": "irn"}, inputs={"make-seeds": "b"}, metrics={"images": 3})
    figures = {"of": "seeds", "split": "train", "miou": 50.0, "threshold": 0.2, "threshold_chosen": "given"}
    figures |= {"label_free": {"threshold": 0.1, "miou": 55.5}, "per_class": {"background": 80.0, "bus": None}}
    seen = StageEntry(state="done", metrics=figures, outputs={"seeds-train.json": Output(path="seeds-train.json")})
    figures = figures | {"of": "masks"}
    also = StageEntry(state="done", metrics=figures, outputs={"masks-train.json": Output(path="seeds-train.json")})
    stages = {"train-cls": cls, "make-seeds": seeds, "make-masks": masks}
    stages |= {"evaluate-seeds-train": seen, "evaluate-masks-train": also}
    return Manifest(created="2026-01-01", stages=stages, next_command="recam report").model_dump_json().encode()


def metrics_lines() -> bytes:
    lines = [
        {"stage": "train-cls", "phase": phase, "epoch": epoch, "step": epoch, "loss": 0.5, "bce": 0.3, "lr_factor": 0.9}
        for phase in ("CAM", "ReCAM")
        for epoch in (1, 2)
    ]
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


_IDENTITY = {"lr": 0.1, "scales": [1.0, 2.0]}


def _training(folder: SnapshotFolder, found: Snapshot | None) -> tuple[Snapshots, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = nn.Linear(2, 3)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    if found is None:
        model(torch.ones(1, 2)).sum().backward()
        optimiser.step()
    run = Run(folder.path, Manifest())
    kept = Snapshots(
        folder, _IDENTITY, model, run=run, stage="train-cls", minutes=0, reporter=SilentReporter(), found=found
    )
    return kept, optimiser


def snapshot() -> bytes:
    """Return the bytes of a snapshot of a small training."""
    folder = SnapshotFolder(TINY / "snapshots")
    kept, optimiser = _training(folder, None)
    kept.carried["cam_map"] = 90.0
    kept.begin("CAM", optimiser)
    kept.keep(Position(1, 4, {"loss": 2.0}, {"loss": 0.5}, 3.0), gradients=True)
    data = folder.last.read_bytes()
    folder.clear()
    return data


def resume_from(folder: SnapshotFolder, found: Snapshot | None) -> Position:
    """Go on with the small training."""
    found = require_snapshot(folder, _IDENTITY, SilentReporter())
    seconds_of(found)
    kept, optimiser = _training(folder, found)
    generator = torch.get_rng_state()
    try:
        return kept.begin("CAM", optimiser)
    finally:
        torch.set_rng_state(generator)


def download_from(path: Path) -> Path:
    """Download from a server that answers the bytes at `path` to whatever is asked."""
    from recam_cli.core import download
    from recam_cli.core.data import voc_download

    download._PAUSE, download.TIMEOUT, download._open = 0.0, 5.0, _without_tls
    answer = path.read_bytes()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        stop = threading.Event()
        thread = threading.Thread(target=_serve, args=(server, answer, stop), daemon=True)
        thread.start()
        out = path.parent / "out"
        try:
            url = f"https://127.0.0.1:{server.getsockname()[1]}/a.tar"
            import hashlib

            wanted = hashlib.sha256(answer.partition(b"\r\n\r\n")[2]).hexdigest()
            return voc_download.download_voc(out, url=url, sha256=wanted)
        finally:
            stop.set()
            shutil.rmtree(out, ignore_errors=True)


def _without_tls(request: urllib.request.Request) -> Any:
    """Open an https address of the loopback server, which speaks http."""
    plain = request.full_url.replace("https://", "http://")
    return urllib.request.urlopen(urllib.request.Request(plain, headers=dict(request.headers)), timeout=5)


def _serve(server: socket.socket, answer: bytes, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            connection, _ = server.accept()
        except TimeoutError:
            continue
        except OSError:  # closed
            return
        with connection:
            try:
                connection.settimeout(5.0)
                connection.recv(65536)
                connection.sendall(answer)
            except OSError:
                continue
