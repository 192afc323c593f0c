"""Contact sheets of a run: some images of a split, with all that the run holds of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from recam_cli.core.cams.store import read_seed
from recam_cli.core.data.images import read_image, read_mask
from recam_cli.core.data.samples import IGNORE, ImageSet, Sample
from recam_cli.core.errors import RecamError
from recam_cli.core.report.canvas import fitted_size, scaled
from recam_cli.core.report.legend import HEAT_ENTRY, IGNORE_ENTRY, class_entries
from recam_cli.core.report.overlay import heat_overlay, mask_overlay
from recam_cli.core.report.panels import MAX_ASPECT, Panel
from recam_cli.core.report.run_figures import method_name
from recam_cli.core.report.sheet import contact_sheet
from recam_cli.core.reporter import Reporter
from recam_cli.core.runs.run import Run

HEIGHT = 170
_PREDICTIONS = ("-cam", "", "-truth")

Draw = Callable[[Sample, np.ndarray], np.ndarray | None]
"""(sample, scaled photograph) → panel of its size, or None where the run holds nothing of the image."""


@dataclass(frozen=True)
class _Column:
    title: str
    draw: Draw


class RunSheet:
    """Draws the sheets of one run and collects which classes they show."""

    def __init__(self, run: Run, max_pixels: int, reporter: Reporter) -> None:
        self._run, self._max_pixels, self._reporter = run, max_pixels, reporter
        self._shown: set[int] = set()

    def of_training(self, images: ImageSet, count: int) -> np.ndarray | None:
        """Return photographs with class maps, masks and truth, uint8 (H, W, 3); None where there are none."""
        columns = []
        for suffix in ("-cam", ""):
            name = method_name(self._run, suffix)
            if (self._run.path / f"seeds{suffix}").is_dir():
                columns.append(_Column(f"{name} maps", self._heat(f"seeds{suffix}")))
            if (self._run.path / f"masks{suffix}").is_dir():
                columns.append(_Column(f"{name} mask", self._mask(f"masks{suffix}")))
        return self._sheet(images, count, columns) if columns else None

    def of_predictions(self, images: ImageSet, count: int) -> np.ndarray | None:
        """Return photographs with the segmenters' predictions and truth; None where there are none."""
        columns = []
        for suffix in _PREDICTIONS:
            folder = f"predictions{suffix}/{images.split}"
            if (self._run.path / folder).is_dir():
                name = method_name(self._run, suffix)
                title = f"trained on {name}" + ("" if suffix == "-truth" else " masks")
                columns.append(_Column(title, self._mask(folder)))
        return self._sheet(images, count, columns) if columns else None

    def _sheet(self, images: ImageSet, count: int, columns: list[_Column]) -> np.ndarray:
        self._shown = set()
        samples = evenly_spaced(images.samples, count)
        if any(sample.mask is not None for sample in samples):
            columns = [*columns, _Column("truth", self._truth)]
        rows = [row for sample in samples if (row := self._row(images, sample, columns)) is not None]
        heat = any(column.title.endswith("maps") for column in columns)
        ids = {value - 1 for value in self._shown if value not in (0, IGNORE)}
        legend = [*class_entries(images.classes, ids)]
        legend += [IGNORE_ENTRY] * (IGNORE in self._shown) + [HEAT_ENTRY] * heat
        header = f"{len(rows)} of {len(images)} images of {images.split}"
        titles = ("photograph", *(column.title for column in columns))
        return contact_sheet(rows, header=header, columns=titles, legend=legend, height=HEIGHT)

    def _row(self, images: ImageSet, sample: Sample, columns: list[_Column]) -> list[Panel | None] | None:
        try:
            photo = read_image(sample.image, max_pixels=self._max_pixels)
        except RecamError as error:
            self._reporter.warn(f"left out of the sheet: {error}")
            return None
        photo = scaled(photo, fitted_size(photo.shape, HEIGHT, round(HEIGHT * MAX_ASPECT)))
        names = ", ".join(images.classes[k] for k in sample.labels) or "no label"
        row: list[Panel | None] = [Panel(names, photo)]
        for column in columns:
            try:
                pixels = column.draw(sample, photo)
            except RecamError as error:
                self._reporter.warn(f"left out of the sheet: {error}")
                pixels = None
            row.append(None if pixels is None else Panel("", pixels))
        return row

    def _heat(self, folder: str) -> Draw:
        def draw(sample: Sample, photo: np.ndarray) -> np.ndarray | None:
            path = self._run.path / folder / f"{sample.id}.npz"
            if not path.is_file():
                return None
            maps = read_seed(path).maps
            return heat_overlay(photo, maps.max(axis=0)) if len(maps) else photo

        return draw

    def _mask(self, folder: str) -> Draw:
        def draw(sample: Sample, photo: np.ndarray) -> np.ndarray | None:
            path = self._run.path / folder / f"{sample.id}.png"
            return self._over(photo, read_mask(path, max_pixels=self._max_pixels)) if path.is_file() else None

        return draw

    def _truth(self, sample: Sample, photo: np.ndarray) -> np.ndarray | None:
        if sample.mask is None:
            return None
        return self._over(photo, read_mask(sample.mask, max_pixels=self._max_pixels))

    def _over(self, photo: np.ndarray, mask: np.ndarray) -> np.ndarray:
        self._shown |= {int(value) for value in np.unique(mask)}
        return mask_overlay(photo, scaled(mask, (photo.shape[0], photo.shape[1]), labels=True))


def evenly_spaced(samples: Sequence[Sample], count: int) -> list[Sample]:
    """Return at most `count` samples, the first and the last among them, the others evenly between."""
    if count >= len(samples):
        return list(samples)
    places = np.linspace(0, len(samples) - 1, count).round().astype(int)
    return [samples[int(i)] for i in places]
