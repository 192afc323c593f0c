"""Photographs of a data set that nobody has labelled: no training sees them, the segmenter predicts them."""

from __future__ import annotations

from pathlib import Path

from recam_cli.core.data.folder import folder_splits, has_own_split
from recam_cli.core.data.ids import folded, id_of
from recam_cli.core.data.images import PHOTO_SUFFIXES
from recam_cli.core.data.labels import find_labels, read_labels
from recam_cli.core.data.layout import file_names
from recam_cli.core.data.problems import Problem


def unlabelled_photos(dataset: str, root: Path, labels: Path | None = None) -> list[Path]:
    """Return the photographs without any label, sorted; only a plain folder has such.

    Args:
        dataset: its kind.
        root: its folder.
        labels: its label file, if another than its own.

    Returns:
        Beside a table, those without a row; beside class folders, those that lie loose.

    Raises:
        DataError: the label file cannot be read.
    """
    if dataset != "folder":
        return []
    table = labels or find_labels(root)
    rows = read_labels(table, _step_over) if table is not None else None
    bases = [root] if has_own_split(root) else [root / split for split in folder_splits(root)]
    found = [base / name for base in bases for name in file_names(base) if name.lower().endswith(PHOTO_SUFFIXES)]
    if rows is None:
        return found
    return [p for p in found if id_of(p.name) not in rows.entries and folded(id_of(p.name)) not in rows.spellings]


def _step_over(problem: Problem) -> None:
    """Leave the table's faults to whoever reads it for training."""
