"""Every reader of files: how a valid file is made, how it is spoilt, and the function that reads it. A row each."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from recam_cli.core.affinity.instance_files import read_listed
from recam_cli.core.cams.store import read_seed
from recam_cli.core.data.annotations import read_annotation
from recam_cli.core.data.check_cache import CheckCache
from recam_cli.core.data.check_files import check_files
from recam_cli.core.data.classes import read_classes
from recam_cli.core.data.coco import read_instances
from recam_cli.core.data.images import read_grey, read_image, read_kind, read_mask, read_size
from recam_cli.core.data.labels import read_labels
from recam_cli.core.data.layout import build_samples, index_photos, read_list
from recam_cli.core.data.shapes.write import _read_record
from recam_cli.core.data.yolo import read_label_file
from recam_cli.core.data.yolo_names import read_names
from recam_cli.core.errors import DataError
from recam_cli.core.metrics.score_files import _read_ids
from recam_cli.core.models.checkpoint import packed, read_state
from recam_cli.core.models.classifier_files import load_classifier
from recam_cli.core.models.foreign import read_foreign
from recam_cli.core.reporter import SilentReporter
from recam_cli.core.runs.files import sha256_of
from recam_cli.core.runs.items import ItemFolder
from recam_cli.core.runs.lock import LOCK_NAME, locked
from recam_cli.core.runs.run import Run
from recam_cli.core.settings.resolve import read_config, resolve
from recam_cli.core.settings.train_cls import TrainClsSettings
from recam_cli.core.training.snapshot_files import SnapshotFolder
from tests.fuzz import mutations as m
from tests.fuzz import valid_files as v
from tests.fuzz.tiny_files import (
    ARCHIVE,
    EVALUATION,
    TINY,
    manifest,
    metrics_lines,
    snapshot,
    tiny_state,
)
from tests.fuzz.valid_files import PIXELS

DRAWN = 8.0
"""Seconds for pictures of curves, some tenths each."""
CPU = torch.device("cpu")
Mutation = Callable[[bytes, Any], bytes]


@dataclass(frozen=True)
class Reader:
    """One reader of files.

    Attributes:
        file: the file's name, with the suffix that it needs.
        make: returns the bytes of a valid file.
        read: reads the file at a path.
        mutations: how the bytes are spoilt, one or several times.
        share: of the inputs, relative to the other readers; slow ones take less.
        seconds: an input may take of the processor's time; of other time it may wait, as the machine may be busy.
        refuses: whether the valid file is refused, too, as a lock that is held.
    """

    file: str
    make: Callable[[], bytes]
    read: Callable[[Path], Any]
    mutations: tuple[Mutation, ...] = m.BYTES
    share: float = 1.0
    seconds: float = 2.0
    refuses: bool = False


def _read_photo(path: Path) -> Any:
    for read in (read_size, read_kind):
        read(path, max_pixels=PIXELS)
    return check_files(path, None, PIXELS, 3), read_image(path, max_pixels=PIXELS)


def _read_table(path: Path) -> Any:
    table = read_labels(path, lambda problem: str(problem))
    known = {name: k for k, name in enumerate(("bus", "cat", "dog", "traffic light"))}
    labels = [table.labels_of(image_id, known, lambda problem: str(problem)) for image_id in table.entries]
    return labels, table.vocabulary()


def _read_split_list(path: Path) -> Any:
    photos = index_photos(path.parent)
    return build_samples(read_list(path), path, photos, lambda _: None, lambda _: (), lambda problem: str(problem))


def _read_config(path: Path) -> Any:
    return resolve(TrainClsSettings, flags={}, config=read_config(path, "train-cls", tables=("train-cls",)))


def _read_weights(path: Path) -> Any:
    from recam_cli.core.models.backbones import build_backbone

    state = read_state(path)
    try:
        return build_backbone("tiny", stride=16, state=state)
    except ValueError as error:  # "not weights of tiny", of which each caller makes a DataError of its own
        raise DataError(str(error)) from None


def _read_irn(path: Path) -> Any:
    from recam_cli.core.models.boundary_files import boundary_digest, load_boundary

    return load_boundary(path, CPU), boundary_digest(path)


def _read_psa(path: Path) -> Any:
    from recam_cli.core.models.branch_files import AFFINITY, load_branch

    return load_branch(path, AFFINITY, CPU)


def _read_segmenter(path: Path) -> Any:
    from recam_cli.core.models.segmenter_files import load_segmenter

    return load_segmenter(path, CPU)


def _read_snapshot(path: Path) -> Any:
    from tests.fuzz.tiny_files import resume_from

    folder = SnapshotFolder(path.parent)
    return resume_from(folder, folder.read(SilentReporter()))


def _read_manifest(path: Path) -> Any:
    """Read a run as status does, and as later commands take over its settings."""
    from recam_cli.commands.common import run_values
    from recam_cli.commands.status import overview, rows
    from recam_cli.core.settings.make_seeds import MakeSeedsSettings

    run = Run.open(path.parent)
    values = run_values(run, MakeSeedsSettings, "make-seeds")
    values.pop("preset", None)
    json.dumps(overview(run), allow_nan=False)
    return rows(run), resolve(MakeSeedsSettings, flags={}, run=values)


def _read_reported(path: Path) -> Any:
    """Read a run as the report does."""
    from recam_cli.core.report import run_figures as figures
    from recam_cli.core.report.run_curves import class_pictures, coverage_pictures, threshold_pictures
    from recam_cli.stages.report import _page

    run = Run.open(path.parent)
    run.require("train-cls")
    scored = figures.evaluations(run)
    _page_of(_page(run, scored, [], []))
    return threshold_pictures(scored), coverage_pictures(scored), class_pictures(run, scored)


def _page_of(data: Any) -> str:
    from recam_cli.core.report.html import render_report

    return render_report(data)


def _read_evaluation(path: Path) -> Any:
    content = json.loads(manifest())
    for stage in ("evaluate-seeds-train", "evaluate-masks-train"):
        for output in content["stages"][stage]["outputs"].values():
            output["sha256"] = sha256_of(path)
    (path.parent / "manifest.json").write_text(json.dumps(content))
    return _read_reported(path.with_name("manifest.json"))


def _read_log(path: Path) -> Any:
    from recam_cli.core.report.log import read_log
    from recam_cli.core.report.run_curves import training_curves

    content = json.loads(manifest())
    for stage in ("evaluate-seeds-train", "evaluate-masks-train"):
        for output in content["stages"][stage]["outputs"].values():
            output["sha256"] = sha256_of(path)
    (path.parent / "manifest.json").write_text(json.dumps(content))
    run = Run.open(path.parent)
    run.cut_log("train-cls", 10_000)
    return training_curves(run, read_log(path))


def _read_cache(path: Path) -> Any:
    from recam_cli.core.data.check import CheckReport, sort_problems

    found = CheckCache(path, max_pixels=PIXELS, classes=3).get(TINY / "a.png", TINY / "a.png")
    report = CheckReport(sort_problems(list(dict.fromkeys(found.problems if found else ()))), 1, 1)
    assert found is None or found.shown is None or set(found.shown) <= {0, 1, 2}
    json.dumps([problem.as_dict() for problem in report.problems])
    return report.raise_on_errors()


def _read_fingerprint(path: Path) -> Any:
    (path.parent / "a.png").touch()
    settings = {"threshold": "0.4", "scales": [1.0]}
    return ItemFolder.open(path.parent, "1234", settings, False, "masks", suffix=".png")


def _read_lock(path: Path) -> Any:
    import fcntl

    with path.open("r+b") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with locked(path.parent):
            raise AssertionError("two processes hold the lock")


def _read_archive(path: Path) -> Any:
    from recam_cli.core.data.archive import extract_folder

    target = path.parent / "out" / "VOC2012"
    try:
        return extract_folder(path, "VOCdevkit/VOC2012", target, SilentReporter())
    finally:
        shutil.rmtree(target.parent, ignore_errors=True)


def _read_served(path: Path) -> Any:
    """Take the file for what a server answers to the download."""
    from tests.fuzz.tiny_files import download_from

    return download_from(path)


def _read_boxes(path: Path) -> Any:
    return read_label_file(path, 3)


JSON = (*m.TEXT, *(m.json_part,) * 8)
MANIFEST = (*JSON, *(m.json_free,) * 40)
LINES = (*m.TEXT, *(m.json_line,) * 8)
PNG = (*m.BYTES, *(m.png_chunk,) * 6)
WEIGHTS = (*m.BYTES, *(m.safetensors_header,) * 8)


def _boundary_kind() -> Any:
    from recam_cli.core.models.branch_files import BOUNDARY

    return BOUNDARY


def _affinity_kind() -> Any:
    from recam_cli.core.models.branch_files import AFFINITY

    return AFFINITY


READERS: dict[str, Reader] = {
    "photograph JPEG": Reader("a.jpg", v.photo("JPEG"), _read_photo),
    "photograph progressive": Reader("a.jpg", v.photo("JPEG", progressive=True), _read_photo, share=0.5),
    "photograph PNG": Reader("a.png", v.png, _read_photo, PNG),
    "photograph WebP": Reader("a.webp", v.photo("WEBP"), _read_photo),
    "photograph TIFF": Reader("a.tif", v.photo("TIFF"), _read_photo),
    "photograph TIFF LZW": Reader("a.tif", v.photo("TIFF", compression="tiff_lzw"), _read_photo),
    "photograph BMP": Reader("a.bmp", v.photo("BMP"), _read_photo, share=0.5),
    "mask": Reader("a.png", v.mask, lambda path: read_mask(path, max_pixels=PIXELS), PNG),
    "confidence": Reader("a.png", v.grey, lambda path: read_grey(path, max_pixels=PIXELS), PNG, share=0.5),
    "annotation": Reader("a.xml", v.annotation, read_annotation, m.TEXT),
    "COCO annotations": Reader("instances.json", v.coco, read_instances, JSON),
    "YOLO labels": Reader("a.txt", lambda: b"0 0.5 0.5 0.25 0.5\n2 0.1 0.2 0.1 0.1\n", _read_boxes, m.TEXT),
    "YOLO names": Reader("data.yaml", v.yolo_names, lambda path: read_names(path.parent), m.TEXT),
    "split list": Reader("train.txt", lambda: b"img_000\nimg_001.jpg\n\xc3\xa9\n", _read_split_list, m.TEXT),
    "id list": Reader("ids.txt", lambda: b"img_000\nimg_001.jpg\n\xc3\xa9\n", _read_ids, m.TEXT, share=0.5),
    "classes": Reader("classes.txt", lambda: b"bus\ncat\ntraffic light\n", read_classes, m.TEXT, share=0.5),
    "labels CSV": Reader("labels.csv", v.csv, _read_table, m.TEXT),
    "labels JSON": Reader("labels.json", v.labels_json, _read_table, JSON),
    "config": Reader("a.toml", v.config, _read_config, m.TEXT),
    "classifier": Reader("a.safetensors", v.classifier, lambda path: load_classifier(path, CPU), WEIGHTS),
    "segmenter": Reader("a.safetensors", v.segmenter, _read_segmenter, WEIGHTS, share=0.5),
    "boundary network": Reader(
        "a.safetensors", lambda: v.branch(_boundary_kind(), displacement=True)(), _read_irn, WEIGHTS, share=0.2
    ),
    "affinity network": Reader("a.safetensors", lambda: v.branch(_affinity_kind())(), _read_psa, WEIGHTS, share=0.2),
    "weights safetensors": Reader("a.safetensors", lambda: packed(tiny_state(), {}), _read_weights, WEIGHTS),
    "weights .pth": Reader("a.pth", v.torch_file(True), read_foreign),
    "weights .pth, old": Reader("a.pth", v.torch_file(False), read_foreign),
    "snapshot": Reader("last.safetensors", snapshot, _read_snapshot, (*WEIGHTS, *(v.facts_hashed_anew,) * 16)),
    "seed": Reader("a.npz", v.seed, read_seed, (*m.BYTES, *(v.npz_member,) * 8)),
    "instances": Reader("a.json", v.instances, read_listed, JSON, share=0.5),
    "manifest": Reader("manifest.json", manifest, _read_manifest, MANIFEST),
    "manifest, reported": Reader("manifest.json", manifest, _read_reported, MANIFEST, share=0.1, seconds=DRAWN),
    "evaluation": Reader("seeds-train.json", lambda: EVALUATION, _read_evaluation, JSON, share=0.1, seconds=DRAWN),
    "metrics log": Reader("metrics.jsonl", metrics_lines, _read_log, LINES, share=0.1, seconds=DRAWN),
    "check cache": Reader("cache.json", v.cache, _read_cache, JSON, share=0.5),
    "fingerprint": Reader(".fingerprint.json", v.fingerprint, _read_fingerprint, JSON, share=0.5, refuses=True),
    "lock": Reader(LOCK_NAME, lambda: b'{"pid": 12, "host": "here"}', _read_lock, JSON, share=0.5, refuses=True),
    "shapes record": Reader("shapes.json", v.record, _read_record, JSON, share=0.5),
    "archive": Reader("a.tar", lambda: ARCHIVE, _read_archive, (*m.BYTES, *(m.tar_header,) * 8)),
    "download": Reader(
        "answer.bin",
        lambda: b"HTTP/1.1 200 OK\r\nContent-Length: 10240\r\n\r\n" + ARCHIVE,
        _read_served,
        m.TEXT,
        share=0.1,
    ),
}


def names(chosen: Iterable[str] = ()) -> list[str]:
    """Return the readers' names, of all or of those chosen."""
    return [name for name in READERS if not chosen or name in chosen]
