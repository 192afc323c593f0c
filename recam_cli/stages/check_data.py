"""Check a data set alone: every split, every file, all problems at once."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from recam_cli.core.data.check import CheckReport, read_and_check, sort_problems
from recam_cli.core.data.check_cache import require_cache
from recam_cli.core.data.check_sets import check_classes_apart, find_copies
from recam_cli.core.data.folder import has_own_split, is_per_class
from recam_cli.core.data.photo_marks import MARKS_NAME
from recam_cli.core.data.problems import Problem
from recam_cli.core.data.registry import DATASETS, available_splits, data_root, fetch
from recam_cli.core.data.samples import ImageSet
from recam_cli.core.errors import DataError
from recam_cli.core.reporter import Reporter
from recam_cli.core.settings.check_data import CheckDataSettings
from recam_cli.core.settings.resolve import Resolved


@dataclass(frozen=True)
class SplitSummary:
    """What one split holds.

    Attributes:
        split: its name.
        images: number of readable entries.
        masks: how many of them have a true mask.
        unlabelled: how many of them show none of the classes: photographs of nothing.
        per_class: number of images by class name, in the order of the classes.
    """

    split: str
    images: int
    masks: int
    unlabelled: int
    per_class: dict[str, int]


@dataclass(frozen=True)
class CheckDataResult:
    """What the check found.

    Attributes:
        dataset: the kind of data set.
        root: its folder.
        classes: class names; mask value k + 1 belongs to `classes[k]`.
        splits: the splits checked.
        problems: of all splits, each once, errors first.
        strict: whether warnings count as errors.
        nothing: number of photographs, each counted once, that show none of the classes.
    """

    dataset: str
    root: Path
    classes: tuple[str, ...]
    splits: tuple[SplitSummary, ...]
    problems: tuple[Problem, ...]
    strict: bool
    nothing: int = 0

    @property
    def report(self) -> CheckReport:
        """The problems and totals over the splits."""
        return CheckReport(self.problems, sum(s.images for s in self.splits), sum(s.masks for s in self.splits))

    @property
    def passed(self) -> bool:
        """Whether the data can be used: no error, nor a warning if `strict`."""
        return not (self.problems if self.strict else self.report.errors)

    def raise_on_errors(self) -> None:
        """Raise DataError (exit 3), naming the first problem and how many more, unless `passed`."""
        self.report.raise_on_errors(strict=self.strict)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON-ready values."""
        return {
            "dataset": self.dataset,
            "root": str(self.root),
            "classes": list(self.classes),
            "splits": [asdict(s) for s in self.splits],
            "errors": len(self.report.errors),
            "warnings": len(self.report.warnings),
            "passed": self.passed,
            "strict": self.strict,
            "nothing": self.nothing,
            "problems": [p.as_dict() for p in self.problems],
        }


def run(resolved: Resolved[CheckDataSettings], reporter: Reporter) -> CheckDataResult:
    """Check the data set and list what is wrong with it; a faulty one is a result, not an exception.

    A split that cannot be read at all (no such list, no label file) is one of the problems.

    Raises:
        UsageError: the file that results are to be remembered in is something else.
        DataError: there is no data set at the place named, or no split in it.
    """
    settings = resolved.settings
    if settings.cache is not None:
        require_cache(settings.cache)
    if settings.download:
        fetch(settings, reporter)
    root = data_root(settings)
    names = (settings.split,) if settings.split is not None else available_splits(settings)
    if not names:
        raise DataError(
            f"{root}: no split to check",
            remedy="Write the ids to train on into ImageSets/Segmentation/train.txt",
        )
    classes: tuple[str, ...] = ()
    sets: list[ImageSet] = []
    splits: list[SplitSummary] = []
    problems: list[Problem] = []
    for name in names:
        try:
            image_set, report = read_and_check(
                settings, name, workers=settings.workers, cache=settings.cache, reporter=reporter
            )
        except DataError as error:
            problems.append(_unreadable(root, error))
            continue
        classes = image_set.classes
        sets.append(image_set)
        splits.append(_summary(image_set))
        problems += report.problems
    problems += _across(settings, root, sets)
    nothing = len({sample.id for image_set in sets for sample in image_set if not sample.labels})
    unique = sort_problems(list(dict.fromkeys(problems)))
    return CheckDataResult(settings.dataset, root, classes, tuple(splits), unique, settings.strict, nothing)


def _across(settings: CheckDataSettings, root: Path, sets: list[ImageSet]) -> list[Problem]:
    """Return what only all photographs together show; nothing of generated ones, and no copies in official splits."""
    if not sets or DATASETS[settings.dataset].generated:
        return []
    own = settings.dataset == "folder" and has_own_split(root)
    if own and settings.split in ("train", "val"):
        return []  # a part that recam chose says nothing about the whole
    found: list[Problem] = []
    if settings.dataset == "folder" and settings.labels is None and is_per_class(root):
        copies = find_copies(sets, cache=root / MARKS_NAME if own else None)
        found += [*([] if own else copies.across_splits()), *copies.across_labels()]
    elif settings.dataset in ("folder", "custom") and not own and len(sets) > 1:
        found += find_copies(sets).across_splits()
    trained = [image_set for image_set in sets if image_set.split != "val"]
    if trained:
        found += check_classes_apart(sets if own else trained[:1])
    return found


def _summary(image_set: ImageSet) -> SplitSummary:
    counts = Counter(k for sample in image_set for k in sample.labels)
    return SplitSummary(
        split=image_set.split,
        images=len(image_set),
        masks=sum(s.mask is not None for s in image_set),
        unlabelled=sum(not s.labels for s in image_set),
        per_class={name: counts[k] for k, name in enumerate(image_set.classes)},
    )


def _unreadable(root: Path, error: DataError) -> Problem:
    """Return the error as a problem of the file its message begins with, or else of the data set's folder."""
    name, colon, reason = error.message.partition(": ")
    if colon and os.path.exists(name):  # noqa: PTH110 - no error where it cannot be a path
        return Problem(Path(name), reason, error.remedy or "Correct it")
    return Problem(root, error.message, error.remedy or "Correct it")
