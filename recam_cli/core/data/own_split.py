"""Splits of data sets whose own are named in many ways, or that have none."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TypeVar

from recam_cli.core.data.near_copies import near_copies
from recam_cli.core.data.photo_marks import MARKS_NAME
from recam_cli.core.data.problems import did_you_mean, some
from recam_cli.core.data.samples import Sample
from recam_cli.core.data.split import held_out
from recam_cli.core.errors import DataError

Place = TypeVar("Place")
OWN = ("train", "val")
"""The splits of a data set that has none of its own."""
WHOLE = "all"
"""Both together."""
_WORDS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
_YEAR = re.compile(r"[-_ ]?\d{4}$")


def split_of(name: str) -> str | None:
    """Return the split that a folder or file is named after: "train" of "train2017", "val" of "valid"; else None."""
    return _WORDS.get(_YEAR.sub("", name.lower()))


def splits_itself(places: Collection[str]) -> bool:
    """Return whether a data set that lies in parts of these names has train and val of its own."""
    return set(OWN) <= set(places)


def splits_of(places: Collection[str]) -> tuple[str, ...]:
    """Return the splits of a data set that lies in parts of these names, those that train first.

    Without both train and val, recam holds a part out of all that there is.
    """
    if not splits_itself(places):
        return OWN if places else ()
    return tuple(sorted(places, key=lambda name: (name != "train", name != "val", name)))


def places_of(places: Mapping[str, Place], split: str, root: Path) -> tuple[Place, ...]:
    """Return the parts that `split` is read from.

    Raises:
        DataError: there is no such split.
    """
    known = splits_of(places)
    if splits_itself(places):
        if split in places:
            return (places[split],)
    elif split in (*known, WHOLE) and known:
        return tuple(part for name, part in places.items() if name != "test")
    remedy = did_you_mean(split, known) or f"It has {some(known, 10) or 'none'}"
    raise DataError(f"{root}: no split {split!r}", remedy=remedy)


def part_of(samples: tuple[Sample, ...], split: str, places: Collection[str], root: Path) -> tuple[Sample, ...]:
    """Return those samples of a whole data set that belong to `split`, where it has no train and val of its own."""
    if splits_itself(places) or split == WHOLE:
        return samples
    groups = near_copies({sample.id: sample.image for sample in samples}, cache=root / MARKS_NAME)
    held = held_out({sample.id: sample.labels for sample in samples}, groups)
    return tuple(sample for sample in samples if (sample.id in held) == (split == "val"))
