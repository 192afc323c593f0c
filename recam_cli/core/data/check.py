"""The check every data set passes before training: files decoded, labels and masks compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from recam_cli.core.data.check_cache import CheckCache
from recam_cli.core.data.check_files import FileCheck, check_files
from recam_cli.core.data.folder import has_own_split
from recam_cli.core.data.limits import MAX_PIXELS
from recam_cli.core.data.problems import Problem, some
from recam_cli.core.data.registry import open_dataset
from recam_cli.core.data.samples import ImageSet, Sample
from recam_cli.core.errors import DataError
from recam_cli.core.masks.pool import run_over
from recam_cli.core.reporter import Reporter, SilentReporter
from recam_cli.core.settings.groups import DataSettings

CHUNK = 32
"""Samples a worker process takes at a time."""
INLINE = 128
"""Up to so many samples are checked without worker processes, whose start takes longer than the work."""


@dataclass(frozen=True)
class CheckReport:
    """What a check found.

    Attributes:
        problems: all of them, errors first.
        images: number of photographs checked.
        masks: number of true masks among them.
        remembered: number of samples whose result came from the cache.
    """

    problems: tuple[Problem, ...]
    images: int
    masks: int
    remembered: int = 0

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that keep the data from being used."""
        return tuple(p for p in self.problems if p.severity == "error")

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """The problems a user should know of."""
        return tuple(p for p in self.problems if p.severity == "warning")

    def raise_on_errors(self, *, strict: bool = False) -> None:
        """Pass if there is no error, nor a warning if `strict`.

        Raises:
            DataError: naming the first problem and how many more there are.
        """
        counting = self.problems if strict else self.errors
        if not counting:
            return
        first, more = counting[0].as_error(), len(counting) - 1
        remedy = (first.remedy or "").rstrip(".")
        if more:
            noun = "problem" if more == 1 else "problems"
            remedy += f"{'' if remedy.endswith('?') else '.'} {more} more {noun}: recam check-data lists all"
        raise DataError(first.message, remedy=remedy)


def check_image_set(
    image_set: ImageSet,
    *,
    max_pixels: int = MAX_PIXELS,
    workers: int = 0,
    cache: Path | None = None,
    reporter: Reporter | None = None,
) -> CheckReport:
    """Check the files and labels of one split.

    Errors: no image; no label at all (warnings where recam itself holds out too few); a photograph or mask that is
    missing, damaged, too large or of a wrong type; a mask of another size than its photograph or with a value that is
    no class. Warnings: more images without a label than with one, a class without an image, masks for some images only,
    masks that show other classes than the labels name, photographs of several frames or with a misleading suffix.

    Args:
        image_set: the split.
        max_pixels: the largest accepted photograph or mask.
        workers: number of processes; 0 checks in this one. Few images are always checked in this one.
        cache: JSON file that remembers results, or None.
        reporter: where progress goes.

    Raises:
        ResourceError: there is not enough memory, or a worker process was ended.
    """
    reporter = reporter or SilentReporter()
    known = CheckCache(cache, max_pixels=max_pixels, classes=len(image_set.classes))
    results: dict[str, FileCheck] = {}
    for sample in image_set:
        found = known.get(sample.image, sample.mask)
        if found is not None:
            results[sample.id] = found
    fresh = [s for s in image_set if s.id not in results]
    if fresh:
        with reporter.track(f"check {image_set.split}", len(fresh)) as progress:

            def note(sample: Sample, result: FileCheck) -> None:
                results[sample.id] = result
                known.put(sample.image, sample.mask, result)
                progress.advance()

            _check_all(fresh, max_pixels, len(image_set.classes), workers, note)
        failed = known.save()
        if failed:
            reporter.warn(f"The check's results could not be remembered: {failed}")
    in_order = [results[s.id] for s in image_set]
    problems = [p for result in in_order for p in result.problems]
    problems += [*_check_labels(image_set), *_check_masks(image_set, in_order)]
    return CheckReport(
        sort_problems(problems),
        images=len(image_set),
        masks=sum(s.mask is not None for s in image_set),
        remembered=len(image_set) - len(fresh),
    )


def open_checked(
    settings: DataSettings,
    split: str,
    *,
    workers: int = 0,
    cache: Path | None = None,
    reporter: Reporter | None = None,
) -> ImageSet:
    """Read a split and check it, as every stage does that trains on it or scores with it.

    Warnings go to the reporter.

    Raises:
        DataError: the first error, and how many more there are.
    """
    reporter = reporter or SilentReporter()
    image_set, report = read_and_check(settings, split, workers=workers, cache=cache, reporter=reporter)
    report.raise_on_errors()
    for problem in report.warnings:
        reporter.warn(str(problem))
    return image_set


def read_and_check(
    settings: DataSettings,
    split: str,
    *,
    workers: int = 0,
    cache: Path | None = None,
    reporter: Reporter | None = None,
) -> tuple[ImageSet, CheckReport]:
    """Read a split, stepping over what its reader can, and check the rest.

    Returns:
        What could be read, and all problems of the reader and of the check.

    Raises:
        DataError: what leaves nothing to read, such as a missing folder or list.
    """
    told: list[Problem] = []
    image_set = open_dataset(settings, split, tell=told.append)
    report = check_image_set(image_set, max_pixels=settings.max_pixels, workers=workers, cache=cache, reporter=reporter)
    problems = sort_problems([*dict.fromkeys(told), *report.problems])
    return image_set, CheckReport(problems, report.images, report.masks, report.remembered)


def sort_problems(problems: Sequence[Problem]) -> tuple[Problem, ...]:
    """Return the problems with the errors first, otherwise in their order."""
    return tuple(sorted(problems, key=lambda p: p.severity != "error"))


def _check_all(
    samples: Sequence[Sample],
    max_pixels: int,
    classes: int,
    workers: int,
    note: Callable[[Sample, FileCheck], None],
) -> None:
    if workers == 0 or len(samples) <= INLINE:
        for sample in samples:
            note(sample, check_files(sample.image, sample.mask, max_pixels, classes))
        return

    def receive(chunk: Sequence[Sample], found: list[FileCheck]) -> None:
        for sample, result in zip(chunk, found, strict=True):
            note(sample, result)

    chunks = [samples[i : i + CHUNK] for i in range(0, len(samples), CHUNK)]
    check = partial(_check_chunk, max_pixels=max_pixels, classes=classes)
    run_over(check, chunks, receive, workers=min(workers, len(chunks)), name_of=_span)


def _span(chunk: Sequence[Sample]) -> str:
    return f"{chunk[0].id} to {chunk[-1].id}"


def _check_chunk(samples: Sequence[Sample], max_pixels: int, classes: int) -> list[FileCheck]:
    return [check_files(sample.image, sample.mask, max_pixels, classes) for sample in samples]


def _check_labels(image_set: ImageSet) -> Iterator[Problem]:
    root, split = image_set.root, image_set.split
    if image_set.name == "folder" and split == "val" and has_own_split(root) and not image_set.targets().any():
        reason = "no labelled photograph could be held out for split 'val': each class has one, or copies of one"
        yield Problem(root, reason, "Add photographs", "warning")
        return
    if not len(image_set):
        yield Problem(root, f"split {split!r} has no image", "Put photographs and their ids there")
        return
    bare = [s.id for s in image_set if not s.labels]
    if len(bare) == len(image_set):
        yield Problem(root, f"no image of split {split!r} has a label", "Label the images")
    elif len(bare) > len(image_set) / 2:
        reason = f"{_count(len(bare), 'image')} of split {split!r} without a label: {some(bare)}"
        yield Problem(root, reason, "Make sure that they show none of the classes", "warning")
    present = Counter(k for s in image_set for k in s.labels)
    absent = [name for k, name in enumerate(image_set.classes) if not present[k]]
    if absent and present:
        reason = f"no image of split {split!r} shows {some(absent, 5)}"
        yield Problem(root, reason, "Add images, or drop the class from classes.txt if none are meant", "warning")


def _check_masks(image_set: ImageSet, results: Sequence[FileCheck]) -> Iterator[Problem]:
    root, split = image_set.root, image_set.split
    missing = [s.id for s in image_set if s.mask is None]
    if missing and len(missing) < len(image_set):
        reason = f"{_count(len(missing), 'image')} of split {split!r} without a true mask: {some(missing)}"
        yield Problem(root, reason, "Add masks for all of them to evaluate on this split", "warning")
    pairs = zip(image_set, results, strict=True)
    other = [s.id for s, r in pairs if r.shown is not None and set(r.shown) != set(s.labels)]
    if other:
        verb = "shows" if len(other) == 1 else "show"
        which = f"{_count(len(other), 'mask')} of split {split!r}"
        reason = f"{which} {verb} other classes than the labels: {some(other)}"
        yield Problem(root, reason, "Compare labels and masks of these images", "warning")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
