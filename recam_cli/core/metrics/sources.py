"""Where in a run the files to score lie, and what the run knows about the threshold behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from recam_cli.core.data.samples import ImageSet
from recam_cli.core.errors import DataError, RunError
from recam_cli.core.masks.confidence import FOLDER as CONFIDENCE
from recam_cli.core.metrics.result import Chosen
from recam_cli.core.metrics.score_files import Pair
from recam_cli.core.runs.run import Run
from recam_cli.core.runs.variants import command, variant_suffix
from recam_cli.core.runs.verify import check_items

Of = Literal["seeds", "masks", "segmentation"]

THRESHOLD_NOTE = "threshold"
"""Note of make-masks: the threshold its masks were made with."""
CHOSEN_NOTE = "threshold_chosen"
"""Note of make-masks: how that was chosen, one of `Chosen`."""

_CHOSEN: tuple[Chosen, ...] = ("given", "label-free", "swept with ground truth")
_MADE_BY = {"seeds": "make-seeds", "masks": "make-masks", "segmentation": "train-seg"}
_NOTED_AS = {"seeds": "seeds", "masks": "masks", "segmentation": "predictions"}
"""Their name in the entry of the stage that makes them."""
_SPLIT_SETTING = {"seeds": "split", "masks": "split", "segmentation": "predict_split"}
_SCORED_AS = {"train_aug": "train"}
"""The published figures of VOC's seeds and masks are those of train, although train_aug is trained on."""


@dataclass(frozen=True)
class Source:
    """One kind of file of a run.

    Attributes:
        of: what they are.
        suffix: "-cam" for the plain-CAM comparison of a ReCAM run, "-truth" for the segmenter of the true masks, else
            "".
        folder: the files' folder; they are named `<id>` + `extension`.
        extension: with its dot.
        command: the command that makes them.
        split: the data set's split whose files are scored.
    """

    of: Of
    suffix: str
    folder: Path
    extension: str
    command: str
    split: str

    @property
    def stage(self) -> str:
        """The stage that makes them, as the manifest names it."""
        return _MADE_BY[self.of] + self.suffix

    @classmethod
    def find(cls, run: Run, of: Of, method: Literal["run", "cam", "recam", "truth"], split: str | None) -> Source:
        """Return where the files of a method lie.

        Args:
            run: the run.
            of: what is scored.
            method: "run" for the run's own, "cam" or "recam"; of predictions also "truth".
            split: the data set's split; predictions lie in one folder per split. None: the one the files were made
                of, but train for train_aug, as published.

        Raises:
            RunError: "recam" is asked of a run trained as plain CAM, or a method of one without a finished
                train-cls.
        """
        # the run's own files are scored even where another tool made them and no stage is recorded
        suffix = "-truth" if method == "truth" else "" if method == "run" else variant_suffix(run, method)
        made = _split_made(run, of, suffix)
        split = split or _SCORED_AS.get(made, made)
        folder = Path(f"predictions{suffix}", split) if of == "segmentation" else Path(of + suffix)
        extension = ".npz" if of == "seeds" else ".png"
        option = "" if split in (made, _SCORED_AS.get(made)) else f" --{_SPLIT_SETTING[of].replace('_', '-')} {split}"
        return cls(of, suffix, run.path / folder, extension, command(run, _MADE_BY[of], suffix) + option, split)

    def pairs(self, images: ImageSet) -> list[Pair]:
        """Pair every image's true mask with its file.

        Raises:
            DataError: the split is empty, or an image has no true mask.
            RunError: an image has no file here; the message names the first and the command that makes it.
        """
        if len(images) == 0:
            raise DataError(f"{images.root}: split {images.split} has no images", remedy="Choose another --split")
        pairs = [
            Pair(sample.mask, self.folder / f"{sample.id}{self.extension}")
            for sample in images.with_masks()
            if sample.mask is not None
        ]
        missing = [pair.prediction.stem for pair in pairs if not pair.prediction.is_file()]
        if missing:
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            what = "prediction" if self.of == "segmentation" else self.of[:-1]
            raise RunError(
                f"{self.folder} has no {what} of image {missing[0]}{more} of split {images.split}",
                remedy=f"Run: {self.command}",
            )
        return pairs

    def check(self, run: Run, pairs: Sequence[Pair]) -> None:
        """Check that the files are what the stage wrote, where the run records one.

        Raises:
            RunError: one has changed since.
        """
        if run.entry(self.stage) is not None:
            files = [pair.prediction for pair in pairs]
            remedy = f"Restore it, or make it anew: {self.command}"
            check_items(run, self.stage, _NOTED_AS[self.of], files, remedy=remedy)

    def with_confidence(self, pairs: Sequence[Pair]) -> list[Pair]:
        """Return the pairs of masks with their confidence, where that is there."""
        folder = self.folder.with_name(f"{CONFIDENCE}{self.suffix}")
        return [
            replace(pair, confidence=path if (path := folder / pair.prediction.name).is_file() else None)
            for pair in pairs
        ]

    def inputs(self, run: Run) -> dict[str, str]:
        """Return the fingerprint of the stage that made the files, by stage name, if the run records one."""
        entry = run.entry(self.stage)
        return {} if entry is None else {self.stage: entry.fingerprint}

    def fault(self, run: Run) -> str | None:
        """Return in words why the files may not be what the run's stages say, or None."""
        entry = run.manifest.stages.get(self.stage)
        if entry is not None and entry.state != "done":
            return f"{self.stage} has not finished ({entry.state}): {self.folder} may hold files of an earlier call"
        changed = run.outdated(self.stage)
        return None if changed is None else f"{self.folder} was made before {changed} was done anew"


def _split_made(run: Run, of: Of, suffix: str) -> str:
    entry = run.entry(_MADE_BY[of] + suffix)
    noted = entry.settings.get(_SPLIT_SETTING[of]) if entry is not None else None
    usual = "val" if of == "segmentation" else "train"
    return noted if isinstance(noted, str) and noted != "none" else usual


def noted_threshold(run: Run, stage: str) -> tuple[float | None, Chosen | None]:
    """Return the threshold a finished stage notes and how it was chosen, each None where not recorded."""
    entry = run.entry(stage)
    if entry is None:
        return None, None
    chosen = next((c for c in _CHOSEN if c == entry.notes.get(CHOSEN_NOTE)), None)
    return _share(entry.notes.get(THRESHOLD_NOTE)), chosen


def label_free_threshold(run: Run, suffix: str) -> float | None:
    """Return the threshold that make-masks, or else make-seeds, chose without ground truth, or None.

    That of masks made of other seeds than those of now says nothing about these, and does not count.
    """
    for stage in ("make-masks", "make-seeds"):
        threshold, chosen = noted_threshold(run, stage + suffix)
        if chosen == "label-free" and run.outdated(stage + suffix) is None:
            return threshold
    return None


def _share(value: object) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return float(value) if 0.0 <= value <= 1.0 else None
