"""What the parts of make-masks share: run, split, seeds and settings; and how they read thresholds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from recam_cli.core.cams.store import Seed, read_seed, read_seed_of, write_seed
from recam_cli.core.data.reading import PhotoBatch, read_batches
from recam_cli.core.data.samples import ImageSet, Sample
from recam_cli.core.data.sizes import Size
from recam_cli.core.errors import DataError, UsageError
from recam_cli.core.masks.crf import resolve_backend
from recam_cli.core.masks.pool import run_over
from recam_cli.core.memory import host_budget, refining_bytes
from recam_cli.core.reporter import Progress, Reporter
from recam_cli.core.runs.commits import Commits
from recam_cli.core.runs.files import Pending, deferred
from recam_cli.core.runs.items import ItemFolder
from recam_cli.core.runs.manifest import StageEntry
from recam_cli.core.runs.run import Run, result_settings, stage_fingerprint
from recam_cli.core.settings.make_masks import MakeMasksSettings
from recam_cli.core.settings.resolve import Resolved
from recam_cli.core.threads import available_cores

AUTO = "auto"
Tally = TypeVar("Tally")
Made = TypeVar("Made", covariant=True)


class Job(Protocol[Made]):
    """Work on one image; picklable, for worker processes."""

    def __call__(self, sample: Sample, /) -> Made:
        """Make and write what belongs to the sample, and count it."""
        ...

    def tally_of_kept(self, sample: Sample, /) -> Made:
        """Count what is there already."""
        ...


@dataclass(frozen=True)
class Deferred(Generic[Tally]):
    """What a job came to, and its files, which wait to be committed."""

    result: Tally
    pending: list[Pending]


@dataclass(frozen=True)
class DeferringJob(Generic[Tally]):
    """A job in a worker process, which leaves it to its parent to wait for the disk."""

    job: Job[Tally]

    def __call__(self, sample: Sample) -> Deferred[Tally]:
        """Do the job; its files are written whole, but do not have their names yet."""
        with deferred() as pending:
            return Deferred(self.job(sample), pending)


@dataclass(frozen=True)
class MaskWork:
    """One call of make-masks.

    Attributes:
        resolved: its settings, as the parts shall use them.
        run: the run.
        reporter: receives progress.
        images: the split.
        suffix: of the variant's stages and folders, "" or "-cam".
        seeds: folder of the split's seeds, `<id>.npz`.
        inputs: the fingerprint of the seeds by the name of their stage, and the hash of their content.
    """

    resolved: Resolved[MakeMasksSettings]
    run: Run
    reporter: Reporter
    images: ImageSet
    suffix: str
    seeds: Path
    inputs: dict[str, str]

    @property
    def settings(self) -> MakeMasksSettings:
        """The settings' values."""
        return self.resolved.settings

    @property
    def workers(self) -> int:
        """Processes to work with, at most one per image."""
        return worker_count(self.settings.workers, len(self.images))

    @property
    def labels_walk(self) -> bool:
        """Whether confident labels walk with the seeds."""
        return self.settings.walk_sources == "labels"

    def seed_of(self, sample: Sample, image: np.ndarray, size: Size) -> Seed:
        """Read the seed of `sample`, whose photograph of `size` (height, width) was read as `image`, uint8 (H, W, 3).

        Raises:
            DataError: missing, damaged, or made of another photograph or other labels.
        """
        seed = read_seed_of(sample, self.seeds)
        try:
            seed.require_size(image.shape[0], image.shape[1])
            seed.require_photo(size)
        except DataError as error:
            raise DataError(f"{sample.id}: {error.message}", remedy=error.remedy) from None
        return seed

    @cached_property
    def crf_device(self) -> str:
        """What the dense CRF runs on: as `crf_device`."""
        return crf_device(self.settings)

    def crf_workers(self, items: int) -> int:
        """Return the processes that refine `items` images: none beside this one where a GPU does it."""
        return self.affordable(items) if self.crf_device == "cpu" else 0

    def affordable(self, items: int) -> int:
        """Return the processes for `items` images that `--memory` has room for."""
        wanted = worker_count(self.settings.workers, items)
        return host_budget(self.settings.memory).workers(wanted, refining_bytes(self.settings.work_side))

    def part_folder(
        self, stage: str, folder: str, settings: Any, inputs: Mapping[str, str], describe: str, *, suffix: str
    ) -> ItemFolder:
        """Return the folder of a part's files; those of other settings are kept aside, never refused.

        They are intermediate results: other settings of make-masks ask for others.
        """
        return ItemFolder.open(
            self.run.path / f"{folder}{self.suffix}",
            stage_fingerprint(stage, settings, inputs),
            result_settings(settings, inputs),
            True,
            describe,
            suffix=suffix,
        )

    def over_images(
        self,
        job: Job[Tally],
        folder: ItemFolder,
        title: str,
        receive: Callable[[Sample, Tally, bool], dict[str, float]],
        *,
        crf: bool,
    ) -> None:
        """Do a job on every image that lacks its file in `folder`, over worker processes.

        Args:
            job: makes and writes the files of one sample, or counts those that are there.
            folder: which are there.
            title: of the progress.
            receive: called here with the sample, its tally and whether it was made now; returns figures to show.
            crf: whether the job runs the dense CRF.
        """
        kept = [sample for sample in self.images if folder.done(sample.id)]
        there = {sample.id for sample in kept}
        todo = [sample for sample in self.images if sample.id not in there]
        workers = self.crf_workers(len(todo)) if crf else self.affordable(len(todo))
        with Commits() as commits, self.reporter.track(title, len(self.images)) as progress:

            def take(sample: Sample, made: Deferred[Tally]) -> None:
                commits.add(made.pending)
                progress.advance(1, **receive(sample, made.result, True))

            for sample in kept:
                progress.advance(1, **receive(sample, job.tally_of_kept(sample), False))
            run_over(DeferringJob(job), todo, take, workers=workers, name_of=lambda sample: sample.id)

    def over_batches(
        self,
        folder: ItemFolder,
        title: str,
        batch_size: int,
        parts: Callable[[PhotoBatch], Iterable[PhotoBatch]],
        make: Callable[[PhotoBatch, Commits], None],
    ) -> int:
        """Make the files of every image that lacks its one in `folder`, in batches of photographs of equal size.

        Args:
            folder: which are there.
            title: of the progress.
            batch_size: most of a batch.
            parts: splits a batch into what is computed together.
            make: writes the files of such a part, each as an item of the commits.

        Returns:
            How many images lacked theirs.
        """
        todo = [sample for sample in self.images if not folder.done(sample.id)]
        settings = self.settings
        read = read_batches(
            todo, batch_size, max_pixels=settings.max_pixels, workers=self.workers, longest=settings.work_side
        )
        with Commits() as commits, self.reporter.track(title, len(self.images)) as progress:
            progress.advance(len(self.images) - len(todo))
            for batch in read:
                for part in parts(batch):
                    make(part, commits)
                    progress.advance(len(part.samples))
        return len(todo)

    def finished(self, stage: str, folder: ItemFolder) -> StageEntry | None:
        """Return the entry of a part that was made to its end with the same settings, whose files are all there."""
        entry = self.run.entry(stage)
        same = entry is not None and entry.fingerprint == folder.fingerprint and not folder.holds_others
        whole = same and all(folder.done(sample.id) for sample in self.images) and not folder.changed
        return entry if whole else None

    def seeds_in(self, folder: Path, progress: Progress | None = None) -> Iterator[Seed]:
        """Read the seeds of the split in `folder` one at a time."""
        for sample in self.images:
            yield read_seed(folder / f"{sample.id}.npz")
            if progress is not None:
                progress.advance()


def write_seeds(folder: ItemFolder, samples: Sequence[Sample], seeds: Sequence[Seed], commits: Commits) -> None:
    """Write the seed of each sample into `folder`.

    Raises:
        NotFiniteError: a map is not finite.
    """
    for sample, seed in zip(samples, seeds, strict=True):
        with commits.item():
            write_seed(folder.file(sample.id), seed)


@dataclass(frozen=True)
class Threshold:
    """The background's score and where it comes from ("given" or "label-free")."""

    value: float
    chosen: str
    how: str

    def notes(self) -> dict[str, float | str]:
        """Return what the manifest keeps of it, `label_free_threshold` only if chosen so."""
        notes: dict[str, float | str] = {
            "threshold": self.value,
            "threshold_chosen": self.chosen,
            "how": self.how,
        }
        return notes | ({"label_free_threshold": self.value} if self.chosen == "label-free" else {})


@dataclass(frozen=True)
class InstancesResult:
    """What was made of instance maps.

    Attributes:
        folder: of `<id>.png` and `<id>.json`.
        made: maps made by this call.
        kept: maps of the same settings that were there before.
        instances: how many instances all maps show.
        moved: where maps of other settings were moved, if so.
    """

    folder: Path
    made: int
    kept: int
    instances: int
    moved: Path | None = None

    def as_dict(self) -> dict[str, str | int | None]:
        """Return it JSON-ready."""
        return {
            "folder": str(self.folder),
            "made": self.made,
            "kept": self.kept,
            "instances": self.instances,
            "moved": str(self.moved) if self.moved else None,
        }


def parse_threshold(text: str, option: str = "--threshold") -> float | None:
    """Return the number in [0, 1], or None for "auto"; `option` is named in errors.

    Raises:
        UsageError: it is neither.
    """
    if text.strip().lower() == AUTO:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise UsageError(f"{option}: {text!r} is neither {AUTO} nor a number from 0 to 1")
    return value


def crf_device(settings: MakeMasksSettings) -> str:
    """Return what the dense CRF runs on: the stage's device where that is a CUDA GPU and the CRF is native, else "cpu".

    Raises:
        UsageError: the device is absent.
    """
    if resolve_backend(settings.crf) != "native" or settings.refine == "none":
        return "cpu"
    from recam_cli.core.hardware import choose_device

    device = choose_device(settings.device)
    return str(device) if device.type == "cuda" else "cpu"


def worker_count(wanted: int | None, items: int) -> int:
    """Return the processes to start for `items` pieces of work; without a wish one per core."""
    if wanted is None:
        wanted = min(available_cores(), 256)
    return min(wanted, items)
