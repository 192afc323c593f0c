"""What a check finds only across photographs and splits: copies on both sides, and classes nothing can tell apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from recam_cli.core.data.near_copies import near_copies
from recam_cli.core.data.problems import Problem, some
from recam_cli.core.data.samples import ImageSet, Sample

FEW = 10
"""A class of fewer photographs is warned of."""
_TOGETHER = 3
"""Of fewer photographs it says nothing that two classes come together."""
_LISTED = 10


@dataclass(frozen=True)
class Copies:
    """Groups of copies among the photographs of some splits.

    Attributes:
        sets: the splits.
        groups: ids of photographs that are copies of one another, two and more each.
    """

    sets: Sequence[ImageSet]
    groups: Sequence[Sequence[str]]

    def across_splits(self) -> Iterator[Problem]:
        """Yield a warning for each split with copies of photographs of the split that trains, named "train"."""
        train = next((s for s in self.sets if s.split == "train"), None)
        if train is None:
            return
        trained = {s.id: s for s in train}
        for other in self.sets:
            if other.split not in ("val", "test"):
                continue
            tested = {s.id: s for s in other}
            found = [(t, v) for group in self._all(tested) for t, v in _across(group, trained, tested)]
            if found:
                number = f"1 photograph of split {other.split!r} is a copy"
                if len(found) > 1:
                    number = f"{len(found)} photographs of split {other.split!r} are copies"
                reason = f"the same photograph, or nearly, as {found[0][0].image} of split 'train'; {number} of such"
                remedy = "Keep copies and bursts on one side: scores on what was trained on say little"
                yield Problem(found[0][1].image, reason, remedy, "warning")

    def across_labels(self) -> Iterator[Problem]:
        """Yield a warning for each two classes whose folders hold copies of one photograph."""
        named = {s.id: (s.image, _shown(s, images.classes)) for images in self.sets for s in images}
        found: dict[tuple[str, str], list[tuple[Path, Path]]] = {}
        for group in self.groups:
            first: dict[str, Path] = {}
            for image, shown in (named[i] for i in group):
                first.setdefault(shown, image)
            for a, b in combinations(sorted(first), 2):
                found.setdefault((a, b), []).append((first[a], first[b]))
        for (a, b), pairs in found.items():
            more = f", and {len(pairs)} photographs in all" if len(pairs) > 1 else ""
            reason = f"the same photograph is labelled {a} and {b}: see {pairs[0][1]}{more}"
            remedy = "List it once in labels.csv with both"
            if "nothing" in (a, b):
                remedy = "Keep it where it belongs"
            yield Problem(pairs[0][0], reason, remedy, "warning")

    def _all(self, ids: Mapping[str, Sample]) -> Iterator[Sequence[str]]:
        """Yield the groups, and each other id as one: a list may name a photograph that another names, too."""
        yield from self.groups
        inside = {i for group in self.groups for i in group}
        yield from ([i] for i in ids if i not in inside)


def find_copies(sets: Sequence[ImageSet], *, cache: Path | None = None) -> Copies:
    """Return the copies among the photographs of one data set's splits; `cache` and errors as `near_copies`."""
    photos = {s.id: s.image for images in sets for s in images}
    return Copies(sets, [group for group in near_copies(photos, cache=cache) if len(group) > 1])


def check_classes_apart(sets: Sequence[ImageSet]) -> Iterator[Problem]:
    """Yield warnings of classes with few photographs in all of the splits, and of classes that come together."""
    root, classes = sets[0].root, sets[0].classes
    samples = list({s.id: s for images in sets for s in images}.values())
    shown = np.zeros((len(samples), len(classes)), dtype=np.float32)
    for row, sample in enumerate(samples):
        shown[row, list(sample.labels)] = 1
    together = (shown.T @ shown).astype(int)
    counts = together.diagonal()
    few = [f"{name} ({n})" for name, n in zip(classes, counts, strict=True) if 0 < n < FEW]
    if few:
        reason = f"{_number(len(few), 'class', 'classes')} with fewer than {FEW} photographs: {some(few, _LISTED)}"
        yield Problem(root, reason, "Add photographs: masks of a class seen so rarely are poor", "warning")
    pairs = list(combinations(range(len(classes)), 2))
    same = [
        f"{classes[a]} and {classes[b]} ({counts[a]})"
        for a, b in pairs
        if counts[a] == counts[b] == together[a, b] >= _TOGETHER
    ]
    if same:
        reason = f"classes that always come together: {some(same, _LISTED)}"
        remedy = "Add photographs of each without the other: labels alone cannot tell them apart"
        yield Problem(root, reason, remedy, "warning")
    within = [
        f"{classes[a]} ({counts[a]} of {counts[a]} with {classes[b]})"
        for pair in pairs
        for a, b in (pair, pair[::-1])
        if _TOGETHER <= counts[a] == together[a, b] < counts[b]
    ]
    if within:
        reason = f"{_number(len(within), 'class', 'classes')} never without another: {some(within, _LISTED)}"
        yield Problem(root, reason, "Add photographs of it alone: its masks may cover the other, too", "warning")


def _across(
    group: Sequence[str], trained: Mapping[str, Sample], tested: Mapping[str, Sample]
) -> Iterator[tuple[Sample, Sample]]:
    first = next((trained[i] for i in group if i in trained), None)
    if first is not None:
        yield from ((first, tested[i]) for i in group if i in tested)


def _shown(sample: Sample, classes: Sequence[str]) -> str:
    return " and ".join(classes[k] for k in sample.labels) or "nothing"


def _number(count: int, one: str, more: str) -> str:
    return f"{count} {one if count == 1 else more}"
