"""visualize: what each stage of a run sees in any photograph, as one picture per photograph."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recam_cli.core.cams.explain import present_classes
from recam_cli.core.data.photos import Failure, read_ahead
from recam_cli.core.errors import DataError, RecamError, RunError, UsageError
from recam_cli.core.hardware import choose_device, choose_precision, prepare_process
from recam_cli.core.masks.shares import shares
from recam_cli.core.models.viewer import Viewer, run_viewer, stock_viewer
from recam_cli.core.report.explain import explain_picture
from recam_cli.core.report.picture_files import write_picture
from recam_cli.core.reporter import Reporter
from recam_cli.core.runs.run import Run
from recam_cli.core.settings.resolve import Resolved
from recam_cli.core.settings.visualize import VisualizeSettings
from recam_cli.stages.mask_work import parse_threshold

FOLDER = "visualize"
STOCK_TOP = 3
"""Classes shown of a stock ImageNet classifier."""


@dataclass(frozen=True)
class Shown:
    """One photograph's picture.

    Attributes:
        image: the photograph.
        picture: the PNG written.
        classes: (name, score) of the classes shown, best first.
        mask: share of the photograph's pixels by name, background included; None where no mask is made.
        prediction: the same of the segmenter's mask; None where there is no segmenter.
    """

    image: Path
    picture: Path
    classes: tuple[tuple[str, float], ...]
    mask: dict[str, float] | None
    prediction: dict[str, float] | None

    def as_dict(self) -> dict[str, Any]:
        """Return it JSON-ready."""
        classes = [{"name": name, "score": score} for name, score in self.classes]
        return asdict(self) | {"image": str(self.image), "picture": str(self.picture), "classes": classes}


@dataclass(frozen=True)
class VisualizeResult:
    """All pictures of one call.

    Attributes:
        shown: the photographs that could be read, in the order given.
        failed: the others.
        classifier: whose maps these are: "CAM", "ReCAM", or "ImageNet <backbone>".
        threshold: of seed and mask; None where neither is made.
        threshold_chosen: where it comes from, as `Viewer.chosen`.
    """

    shown: tuple[Shown, ...]
    failed: tuple[Failure, ...]
    classifier: str
    threshold: float | None
    threshold_chosen: str | None

    def as_dict(self) -> dict[str, Any]:
        """Return it JSON-ready."""
        return {
            "classifier": self.classifier,
            "threshold": self.threshold,
            "threshold_chosen": self.threshold_chosen,
            "images": [one.as_dict() for one in self.shown],
            "failed": [one.as_dict() for one in self.failed],
        }


def run(
    resolved: Resolved[VisualizeSettings], run: Run | None, reporter: Reporter, images: Sequence[Path]
) -> VisualizeResult:
    """Draw one picture per photograph; a photograph that cannot be used is warned of and left out.

    Args:
        resolved: the settings.
        run: whose networks look; None with `weights`.
        reporter: where messages go.
        images: the photographs; each is drawn once.

    Raises:
        UsageError: unknown class names, settings that contradict each other, no dense CRF.
        RunError: the run has no finished train-cls, or its files have changed.
        DataError: weights that cannot be used.
    """
    settings = resolved.settings
    viewer = _viewer(resolved, run)
    folder = settings.out or (run.path / FOLDER if run is not None else Path(FOLDER))
    named = _named_classes(settings.labels, viewer.classifier.classes)
    shown, failed = [], []
    paths = list(dict.fromkeys(images))
    photos = read_ahead(paths, max_pixels=settings.max_pixels, workers=settings.workers, longest=settings.long_side)
    for path, image in photos:
        try:
            if isinstance(image, RecamError):
                raise image
            one = _show(viewer, settings, path, image, named, folder)
        except DataError as error:
            failed.append(Failure(path, str(error)))
            reporter.warn(str(error))
            continue
        shown.append(one)
        reporter.info(f"{path}: {_found_text(one, settings, viewer)}")
    return VisualizeResult(tuple(shown), tuple(failed), viewer.name, viewer.threshold, viewer.chosen)


def _viewer(resolved: Resolved[VisualizeSettings], run: Run | None) -> Viewer:
    settings = resolved.settings
    given = parse_threshold(settings.threshold)
    flagged = {name for name, source in resolved.sources.items() if source in ("flag", "file")}
    if settings.weights is None:
        alien, place = flagged & {"backbone"}, "goes with --weights"
    else:
        alien, place = flagged & {"method", "threshold", "refine"}, "goes with a run, not with --weights"
    if alien:
        raise UsageError(f"--{min(alien)} {place}", remedy="Drop it")
    if settings.weights is not None and run is not None:
        raise UsageError("--run and --weights exclude each other", remedy="Drop one of them")
    prepare_process(deterministic=settings.deterministic)
    device = choose_device(settings.device)
    precision = choose_precision(settings.precision, device)
    if settings.weights is not None:
        return stock_viewer(settings.backbone, settings.weights, settings.scales, device, precision)
    if run is None:
        raise RunError("visualize needs a run", remedy="Name one with --run, or say --weights imagenet")
    return run_viewer(run, settings.method, settings.scales, given, device, precision, refine=settings.refine)


def _named_classes(names: tuple[str, ...] | None, known: tuple[str, ...]) -> list[int] | None:
    """Return the ids of the class names asked for, each once, or None where none is.

    Raises:
        UsageError: an unknown name; the closest known one is suggested.
    """
    if names is None:
        return None
    ids = {name.casefold(): k for k, name in reversed(list(enumerate(known)))}
    for name in names:
        if name.casefold() not in ids:
            close = difflib.get_close_matches(name.casefold(), ids, n=1)
            listed = ", ".join(known[:20]) + (", …" if len(known) > 20 else "")
            hint = f"Did you mean {known[ids[close[0]]]}?" if close else f"Known are {listed}"
            raise UsageError(f"--labels: the classifier knows no class {name!r}", remedy=hint)
    return list(dict.fromkeys(ids[name.casefold()] for name in names))


def _show(
    viewer: Viewer,
    settings: VisualizeSettings,
    path: Path,
    image: np.ndarray,
    named: list[int] | None,
    folder: Path,
) -> Shown:
    classes = viewer.classifier.classes
    scores = viewer.classifier.scores(image)
    chosen = named if named is not None else _found_classes(viewer, settings, scores)
    view = viewer.look(image, chosen)
    listed = tuple((classes[k], round(float(scores[k]), 4)) for k in chosen)
    pixels = explain_picture(
        image,
        maps={classes[k]: values for k, values in zip(chosen, view.seed.maps, strict=True)},
        classes=classes,
        seed=view.label,
        mask=view.mask,
        prediction=view.prediction,
        scores=dict(listed),
        title=_title(viewer, path),
        height=settings.height,
    )
    best = view.label if view.mask is None else view.mask
    return Shown(
        image=path,
        picture=write_picture(folder, path, pixels),
        classes=listed,
        mask=None if best is None else shares(best, classes),
        prediction=None if view.prediction is None else shares(view.prediction, classes),
    )


def _found_classes(viewer: Viewer, settings: VisualizeSettings, scores: np.ndarray) -> list[int]:
    if viewer.classifier.exclusive:  # of 1000 exclusive classes none need reach one half
        return present_classes(scores, minimum=0.0, top=settings.top or STOCK_TOP)
    return present_classes(scores, minimum=settings.min_score, top=settings.top)


def _found_text(one: Shown, settings: VisualizeSettings, viewer: Viewer) -> str:
    text = ", ".join(f"{name} {score:.2f}" for name, score in one.classes)
    sought = settings.labels is None and not viewer.classifier.exclusive
    weak = sought and one.classes[0][1] < settings.min_score
    return f"{text} (the best, though below {settings.min_score:g})" if weak else text


def _title(viewer: Viewer, path: Path) -> str:
    if viewer.threshold is None:
        return f"{path.name} · {viewer.name}, class activation maps"
    return f"{path.name} · {viewer.name}, threshold {viewer.threshold:.2f} ({viewer.chosen})"
