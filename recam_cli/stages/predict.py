"""predict: the run's segmenter writes one palette mask per photograph."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from recam_cli.core.bounded import real_path
from recam_cli.core.data.images import read_mask, read_note, read_size, write_image, write_mask
from recam_cli.core.data.photos import Failure, Photo, find_photos, read_ahead, require_short_name
from recam_cli.core.data.transforms import resized_mask
from recam_cli.core.errors import DataError, RecamError, RunError, UsageError
from recam_cli.core.hardware import choose_device, choose_precision, prepare_process
from recam_cli.core.masks.crf import check_backend
from recam_cli.core.masks.shares import shares
from recam_cli.core.models.run_models import run_segmenter, segmenter_hash
from recam_cli.core.models.segment_inference import Predicting, predict_masks
from recam_cli.core.models.segmenters import Segmenter
from recam_cli.core.report.overlay import mask_overlay
from recam_cli.core.reporter import Reporter
from recam_cli.core.runs.commits import Commits
from recam_cli.core.runs.files import fingerprint, sha256_of_all
from recam_cli.core.runs.leftovers import sweep
from recam_cli.core.runs.run import Run
from recam_cli.core.runs.variants import command, variant_suffix
from recam_cli.core.settings.declare import as_plain
from recam_cli.core.settings.predict import PredictSettings
from recam_cli.core.settings.resolve import Resolved
from recam_cli.core.settings.train_seg import TrainSegSettings

FOLDER = "predict"
_MATTER = ("long_side", "side", "eval_scales", "flip", "crf")
"""Settings that masks depend on."""
_LONG_SIDE = 1024
"""Of photographs while they are worked on, where neither the call nor the run names one."""


@dataclass(frozen=True)
class Predicted:
    """One photograph's mask.

    Attributes:
        image: the photograph.
        mask: the PNG.
        shares: of its pixels by name, background included.
        kept: whether it was there before.
    """

    image: Path
    mask: Path
    shares: dict[str, float]
    kept: bool

    def as_dict(self) -> dict[str, Any]:
        """Return it JSON-ready."""
        return {"image": str(self.image), "mask": str(self.mask), "classes": self.shares, "kept": self.kept}


@dataclass(frozen=True)
class PredictResult:
    """All masks of one call.

    Attributes:
        folder: where they lie.
        predicted: in the order of the photographs.
        failed: photographs, or masks there before, that could not be used.
        overlays: number of overlays written.
    """

    folder: Path
    predicted: tuple[Predicted, ...]
    failed: tuple[Failure, ...]
    overlays: int

    @property
    def kept(self) -> int:
        """Number of masks that were there before."""
        return sum(one.kept for one in self.predicted)

    @property
    def made(self) -> int:
        """Number of masks made by this call."""
        return len(self.predicted) - self.kept

    def class_counts(self) -> list[tuple[str, int]]:
        """Return the classes found with their number of photographs, the most frequent first."""
        counts = Counter(name for one in self.predicted for name in one.shares if name != "background")
        return sorted(counts.items(), key=lambda item: (-item[1], item[0]))

    def as_dict(self) -> dict[str, Any]:
        """Return it JSON-ready."""
        return {
            "folder": str(self.folder),
            "made": self.made,
            "kept": self.kept,
            "overlays": self.overlays,
            "images": [one.as_dict() for one in self.predicted],
            "failed": [one.as_dict() for one in self.failed],
        }


@dataclass(frozen=True)
class _Target:
    """What is written for one photograph."""

    photo: Photo
    mask: Path
    overlay: Path | None
    note: str = ""

    def kept(self, settings: PredictSettings) -> bool:
        """Return whether the mask is there and stays."""
        return os.path.exists(self.mask) and not settings.overwrite  # noqa: PTH110 - no error where its name is too long


def run(resolved: Resolved[PredictSettings], run: Run, reporter: Reporter, places: Sequence[Path]) -> PredictResult:
    """Segment photographs; one that cannot be used is warned of and left out.

    Args:
        resolved: the settings.
        run: with a finished train-seg.
        reporter: where messages and progress go.
        places: files and folders.

    Raises:
        UsageError: the masks would lie among the photographs, or the dense CRF is not installed.
        RunError: there is no segmenter, or it has changed; or masks are there that were made from other photographs,
            or by another segmenter or other settings.
        DataError: no photograph, or two that would share one mask.
        NotFiniteError: the segmenter's output of a photograph is not finite; masks made before are kept.
    """
    suffix = variant_suffix(run, resolved.settings.method)
    settings = _settled(resolved.settings, run, suffix)
    if settings.crf:
        check_backend()
    folder = settings.out or run.path / f"{FOLDER}{suffix}"
    targets = _targets(settings, places, folder)
    prepare_process(deterministic=settings.deterministic)
    device = choose_device(settings.device)
    found = run_segmenter(run, suffix, device)
    if found is None:
        raise RunError(
            f"{run.path} has no trained segmenter", remedy=f"Train it with: {command(run, 'train-seg', suffix)}"
        )
    segmenter, classes = found
    targets = _noted(targets, settings, segmenter_hash(run, suffix))
    sweep(folder)
    worker = _Predictor(settings, segmenter, classes, choose_precision(settings.precision, device))
    return worker.run(targets, folder, reporter)


def _settled(settings: PredictSettings, run: Run, suffix: str) -> PredictSettings:
    """Return the settings with the sizes that the run's segmenter was made for, where they name none."""
    entry = run.entry(f"train-seg{suffix}")
    noted = entry.settings if entry is not None else {}
    made = run.recorded(TrainSegSettings, {n: noted.get(n, 0) for n in ("work_side", "predict_side")})
    return replace(
        settings,
        long_side=settings.long_side or made.work_side or _LONG_SIDE,
        side=made.predict_side if settings.side is None else settings.side,
    )


def _noted(targets: list[_Target], settings: PredictSettings, network: str) -> list[_Target]:
    """Let each target say what its mask is made from, and refuse masks that were made from anything else."""
    plain = as_plain(settings)
    # A side of 0 changes nothing, and masks made before there was one keep their note.
    how = fingerprint([network, {name: plain[name] for name in _MATTER if name != "side" or plain[name]}])
    photos = sha256_of_all(target.photo.path for target in targets)
    noted = [replace(target, note=f"{how} {photo}") for target, photo in zip(targets, photos, strict=True)]
    others = [t.mask for t in noted if t.kept(settings) and not _made_alike(t, settings)]
    if others:
        which = f"{others[0]} was" if len(others) == 1 else f"{others[0]} and {len(others) - 1} more were"
        raise RunError(
            f"{which} made from another photograph, or by another segmenter or other settings",
            remedy="Choose another --out, or make them anew with --overwrite",
        )
    return noted


def _made_alike(target: _Target, settings: PredictSettings) -> bool:
    try:
        return read_note(target.mask, max_pixels=settings.max_pixels) == target.note
    except DataError:  # told when its turn comes
        return True


def _targets(settings: PredictSettings, places: Sequence[Path], folder: Path) -> list[_Target]:
    for place in places:
        if place.is_dir() and real_path(place) == real_path(folder):
            raise UsageError(
                f"--out {folder} is where the photographs lie", remedy="Choose another folder for the masks"
            )
    photos = find_photos(places, recursive=settings.recursive, leave_out=folder)
    owners: dict[Path, Path] = {}
    sources = {real_path(photo.path) for photo in photos}
    targets = []
    for photo in photos:
        base = folder / photo.name
        mask, overlay = base.with_name(f"{base.name}.png"), base.with_name(f"{base.name}_overlay.jpg")
        written = (mask, overlay) if settings.overlay else (mask,)
        for path in written:
            if (other := owners.setdefault(path, photo.path)) != photo.path:
                raise DataError(
                    f"{other} and {photo.path} would both be written to {path}",
                    remedy="Rename one of them, or predict them into two folders",
                )
            if real_path(path) in sources:
                raise UsageError(f"{path} is one of the photographs", remedy="Choose another --out")
        targets.append(_Target(photo, mask, overlay if settings.overlay else None))
    return targets


@dataclass(frozen=True, eq=False)
class _Predictor:
    """Segments photographs one by one."""

    settings: PredictSettings
    segmenter: Segmenter
    classes: tuple[str, ...]
    precision: str

    def run(self, targets: list[_Target], folder: Path, reporter: Reporter) -> PredictResult:
        predicted: dict[Path, Predicted] = {}
        failed: list[Failure] = []
        overlays = 0
        todo = {t.photo.path: t for t in targets if not self._finished(t)}
        with Commits() as commits, reporter.track("Predicting", len(targets)) as progress:
            for target in targets:
                if target.photo.path not in todo:
                    self._guarded(target, None, predicted, failed, reporter)
                    progress.advance()
            photos = read_ahead(
                list(todo),
                max_pixels=self.settings.max_pixels,
                workers=self.settings.workers,
                longest=self.settings.long_side or 0,
            )
            for path, image in photos:
                with commits.item():
                    done = self._guarded(todo[path], image, predicted, failed, reporter)
                overlays += done and self.settings.overlay
                progress.advance()
        order = [t.photo.path for t in targets if t.photo.path in predicted]
        return PredictResult(folder, tuple(predicted[path] for path in order), tuple(failed), overlays)

    def _finished(self, target: _Target) -> bool:
        return target.kept(self.settings) and (target.overlay is None or os.path.exists(target.overlay))  # noqa: PTH110

    def _guarded(
        self,
        target: _Target,
        image: np.ndarray | RecamError | None,
        predicted: dict[Path, Predicted],
        failed: list[Failure],
        reporter: Reporter,
    ) -> bool:
        """Note what became of one photograph; returns whether it is among the `predicted`."""
        path = target.photo.path
        try:
            if isinstance(image, RecamError):
                raise image
            predicted[path] = self._one(target, image)
        except DataError as error:
            failed.append(Failure(path, str(error)))
            reporter.warn(str(error))
            return False
        return True

    def _one(self, target: _Target, image: np.ndarray | None) -> Predicted:
        for made in (target.mask, *([target.overlay] if target.overlay is not None else [])):
            require_short_name(made, target.photo.path)
        kept = target.kept(self.settings)
        if kept:
            mask = read_mask(target.mask, max_pixels=self.settings.max_pixels)
        else:
            assert image is not None
            mask = self._mask(image, target.photo.path)
            write_mask(target.mask, mask, note=target.note)
        if image is not None and target.overlay is not None:
            _write_overlay(target.overlay, image, mask)
        return Predicted(target.photo.path, target.mask, shares(mask, self.classes), kept)

    @cached_property
    def _predicting(self) -> Predicting:
        settings, precision = self.settings, self.precision
        looks: dict[str, Any] = {"scales": settings.eval_scales, "side": settings.side or 0, "precision": precision}
        return Predicting.by(self.segmenter, settings.memory, FOLDER, **looks)

    def _mask(self, image: np.ndarray, path: Path) -> np.ndarray:
        settings = self.settings
        self._predicting.together(1, (image.shape[0], image.shape[1]))  # refuses what does not fit
        return predict_masks(
            self.segmenter,
            [image],
            scales=settings.eval_scales,
            side=settings.side or 0,
            flip=settings.flip,
            crf=settings.crf,
            precision=self.precision,
            sizes=[read_size(path, max_pixels=settings.max_pixels)],
            names=[str(path)],
        )[0]


def _write_overlay(path: Path, image: np.ndarray, mask: np.ndarray) -> None:
    write_image(path, mask_overlay(image, resized_mask(mask, (image.shape[0], image.shape[1]))), quality=90)


def found_text(result: PredictResult, *, most: int = 6) -> str:
    """Return the classes found in words: "cow in 12, grass in 9"; the rest counted."""
    counts = result.class_counts()
    if not counts:
        return "no class found"
    listed = ", ".join(f"{name} in {count}" for name, count in counts[:most])
    return listed + (f" and {len(counts) - most} more classes" if len(counts) > most else "")
