"""The confidence of every mask in a table, `confidence/index.csv`: which masks to look at first, which to leave out."""

from __future__ import annotations

from collections.abc import Mapping

from recam_cli.core.csv_cells import Cell, csv_of
from recam_cli.core.masks.confidence import mean_confidence
from recam_cli.core.masks.job import MaskTally

NAME = "index.csv"
HEADER = ("image", "confidence", "undecided", "object_confidence")


def index_csv(tallies: Mapping[str, MaskTally]) -> str:
    """Return the table of masks by image id as CSV, ids ascending.

    Columns: image id; mean confidence of its pixels; share of undecided pixels (255) in its mask; mean confidence of
    the pixels of classes in its mask, empty where there are none. All in [0, 1], six decimals.
    """
    rows: list[tuple[Cell, ...]] = [
        (
            image,
            mean_confidence(one.levels, one.pixels),
            round(one.undecided / one.pixels, 6),
            mean_confidence(one.object_levels, one.objects),
        )
        for image, one in sorted(tallies.items())
    ]
    return csv_of([HEADER, *rows])
