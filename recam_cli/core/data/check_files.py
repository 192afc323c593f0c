"""The check of one photograph and its mask, both decoded whole; light to import, for worker processes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recam_cli.core.data.images import read_image, read_kind, read_mask
from recam_cli.core.data.problems import Problem, Severity
from recam_cli.core.data.samples import BACKGROUND, IGNORE
from recam_cli.core.errors import DataError, one_line

_SUFFIXES = {
    "JPEG": (".jpg", ".jpeg"),
    "PNG": (".png",),
    "BMP": (".bmp",),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
}


@dataclass(frozen=True)
class FileCheck:
    """What the files of one sample showed.

    Attributes:
        problems: of the photograph and of the mask.
        shown: 0-based ids of the classes in the mask, ascending; None without a readable mask.
    """

    problems: tuple[Problem, ...]
    shown: tuple[int, ...] | None


def check_files(image: Path, mask: Path | None, max_pixels: int, classes: int) -> FileCheck:
    """Decode a photograph and its mask, and compare them.

    Args:
        image: the photograph.
        mask: its true mask, if any.
        max_pixels: the largest accepted number of pixels of either.
        classes: the number of classes; mask values 1..classes, 0 and 255 fit.
    """
    problems: list[Problem] = []
    size = _check_photo(image, max_pixels, problems)
    shown = _check_mask(mask, size, max_pixels, classes, problems) if mask is not None else None
    return FileCheck(tuple(problems), shown)


def _check_photo(path: Path, max_pixels: int, problems: list[Problem]) -> tuple[int, int] | None:
    try:
        height, width, _ = read_image(path, max_pixels=max_pixels).shape
        kind = read_kind(path, max_pixels=max_pixels)
    except DataError as error:
        problems.append(_as_problem(path, error))
        return None
    if path.suffix.lower() not in _SUFFIXES.get(kind.format, ()):
        reason = f"a {kind.format} file named {path.suffix}"
        problems.append(Problem(path, reason, "Give it its true suffix; other tools may refuse it", "warning"))
    if kind.frames > 1:
        reason = f"{kind.frames} frames or pages, of which only the first is used"
        problems.append(Problem(path, reason, "Store the frames as single images if they should count", "warning"))
    return height, width


def _check_mask(
    path: Path, size: tuple[int, int] | None, max_pixels: int, classes: int, problems: list[Problem]
) -> tuple[int, ...] | None:
    try:
        mask = read_mask(path, max_pixels=max_pixels)
    except DataError as error:
        problems.append(_as_problem(path, error))
        return None
    if size is not None and mask.shape != size:
        reason = f"mask of {mask.shape[1]}×{mask.shape[0]} pixels, but its photograph has {size[1]}×{size[0]}"
        remedy = "Draw it at the size of the upright photograph"
        problems.append(Problem(path, reason, remedy))
    counts = np.bincount(mask.ravel(), minlength=256)
    present = np.flatnonzero(counts)
    for value in present[(present > classes) & (present != IGNORE)]:
        pixels = "1 pixel" if counts[value] == 1 else f"{counts[value]} pixels"
        reason = f"mask value {value} ({pixels}) is no class: 0 is background, 1 to {classes} are classes"
        problems.append(Problem(path, reason, "Correct it, add the class to classes.txt, or mark it 255 (ignore)"))
    fitting = present[(present != BACKGROUND) & (present <= classes)]
    return tuple(int(value) - 1 for value in fitting)


def _as_problem(path: Path, error: DataError, severity: Severity = "error") -> Problem:
    return Problem(
        path, error.message.removeprefix(f"{one_line(str(path))}: "), error.remedy or "Replace the file", severity
    )
