"""Score files: mask PNGs (by confidence, too) and seeds against true masks, one image at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from recam_cli.core.cams.store import read_seed
from recam_cli.core.data.ids import id_fault, id_of
from recam_cli.core.data.images import read_mask
from recam_cli.core.data.limits import MAX_PIXELS
from recam_cli.core.data.text import read_lines
from recam_cli.core.errors import DataError
from recam_cli.core.masks.confidence import read_confidence
from recam_cli.core.metrics.confusion import ConfusionMatrix, IgnoredPrediction, check_pair
from recam_cli.core.metrics.coverage import CoverageCounts
from recam_cli.core.metrics.sweep import SeedSweep
from recam_cli.core.reporter import Progress


@dataclass(frozen=True)
class Pair:
    """One image's files: its true mask, what is scored against it (a mask PNG or a seed), and a mask's confidence."""

    truth: Path
    prediction: Path
    confidence: Path | None = None


def score_masks(
    pairs: Iterable[Pair],
    num_values: int,
    progress: Progress,
    *,
    ignored: IgnoredPrediction = "background",
    max_pixels: int = MAX_PIXELS,
) -> ConfusionMatrix:
    """Return the confusion matrix of mask PNGs.

    Raises:
        DataError: a file that is missing, damaged, not of its truth's size, or with values out of range.
    """
    confusion = ConfusionMatrix(num_values, ignored=ignored)
    for pair in pairs:
        confusion.update(
            read_mask(pair.truth, max_pixels=max_pixels),
            read_mask(pair.prediction, max_pixels=max_pixels),
            truth_name=str(pair.truth),
            prediction_name=str(pair.prediction),
        )
        progress.advance()
    return confusion


def score_coverage(
    pairs: Iterable[Pair],
    num_values: int,
    progress: Progress,
    *,
    ignored: IgnoredPrediction = "background",
    max_pixels: int = MAX_PIXELS,
) -> CoverageCounts:
    """Return the counts of mask PNGs by confidence, from one pass over them; each pair has its confidence.

    Raises:
        DataError: as `score_masks`, or a confidence that does not fit its mask.
    """
    counts = CoverageCounts(num_values, ignored=ignored)
    for pair in pairs:
        if pair.confidence is None:
            raise DataError(f"{pair.prediction}: a mask without confidence", remedy="Run: recam make-masks")
        mask = read_mask(pair.prediction, max_pixels=max_pixels)
        counts.update(
            read_mask(pair.truth, max_pixels=max_pixels),
            mask,
            read_confidence(pair.confidence, mask.shape, max_pixels=max_pixels),
            truth_name=str(pair.truth),
            prediction_name=str(pair.prediction),
        )
        progress.advance()
    return counts


def score_seeds(
    pairs: Iterable[Pair],
    num_values: int,
    thresholds: Sequence[float],
    progress: Progress,
    *,
    max_pixels: int = MAX_PIXELS,
) -> SeedSweep:
    """Return the counts of seeds at all thresholds, from one pass over them; errors as `score_masks`."""
    sweep = SeedSweep(num_values, thresholds)
    for pair in pairs:
        truth, seed = read_mask(pair.truth, max_pixels=max_pixels), read_seed(pair.prediction)
        check_pair(truth, seed.size, str(pair.truth), str(pair.prediction))  # before its maps are enlarged
        for rows, maps in seed.strips():
            sweep.add(
                truth[rows],
                maps,
                seed.classes,
                truth_name=str(pair.truth),
                seed_name=str(pair.prediction),
            )
        progress.advance()
    return sweep


def folder_pairs(prediction_dir: Path, truth_dir: Path, id_list: Path | None) -> tuple[list[Pair], int]:
    """Pair the PNGs of two folders by name.

    Args:
        prediction_dir: folder of predicted masks.
        truth_dir: folder of true masks.
        id_list: file of ids (names without suffix), one a line; without it every PNG of `truth_dir` counts.

    Returns:
        The pairs, by name, and the number of PNGs in `prediction_dir` that are not scored.

    Raises:
        DataError: a folder or the list is missing or empty, or a truth has no prediction.
    """
    predictions, truths = _png_names(prediction_dir), _png_names(truth_dir)
    names = sorted(truths) if id_list is None else [f"{i}.png" for i in _read_ids(id_list)]
    for name in names:
        if name not in truths:
            raise DataError(f"{truth_dir / name}: no such true mask", remedy=f"Take its id off {id_list}")
    missing = [name for name in names if name not in predictions]
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise DataError(
            f"{prediction_dir / missing[0]}: no prediction{more} for this true mask",
            remedy="Predict it too, or name the ids to score with --id-list",
        )
    pairs = [Pair(truth_dir / name, prediction_dir / name) for name in names]
    return pairs, len(predictions - set(names))


def _read_ids(path: Path) -> list[str]:
    ids = [id_of(line.strip()) for line in read_lines(path, "list of ids") if line.strip()]
    if not ids:
        raise DataError(f"{path}: no id in it", remedy="Write one id a line")
    fault = next((fault for fault in map(id_fault, ids) if fault), None)
    if fault:
        raise DataError(f"{path}: {fault}", remedy="Ids are plain file names without suffix")
    if len(set(ids)) < len(ids):
        twice = next(i for i, count in Counter(ids).items() if count > 1)
        raise DataError(f"{path}: id {twice} stands there twice", remedy="Remove one of the lines")
    return ids


def _png_names(folder: Path) -> set[str]:
    try:
        names = {path.name for path in folder.iterdir() if path.suffix == ".png" and not path.name.startswith(".")}
    except OSError as error:
        raise DataError(f"{folder}: cannot be read as a folder: {error.strerror}", remedy="Correct its path") from None
    if not names:
        raise DataError(f"{folder}: no PNG in it", remedy="Name a folder of mask PNGs")
    return names
