"""Precision and recall of masks against how much of the images their confident pixels cover, as PNG bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from recam_cli.core.report.figure import COLOURS, draw, plain_axes, say_nothing
from recam_cli.core.report.log import number_within
from recam_cli.core.report.text import shorten_to

_SIZE = (7.2, 4.8)
_NAME = 40
_APART = 8.0
"""Percent of coverage between two thresholds that are both written down."""


@dataclass(frozen=True)
class CoverageLine:
    """Precision and recall over the coverage of one method's masks.

    Attributes:
        name: e.g. "ReCAM masks".
        points: (confidence threshold, coverage, precision, recall), the last three in percent, thresholds ascending.
    """

    name: str
    points: tuple[tuple[float, float, float, float], ...]

    @classmethod
    def of(cls, name: str, evaluation: Mapping[str, Any]) -> CoverageLine | None:
        """Take the line from an evaluation of masks, in its JSON form; None where it has no figures by confidence.

        Raises:
            ValueError, TypeError, KeyError: it is another JSON, or of figures that none of ours has.
        """
        keys = ("threshold", "coverage", "precision", "recall")
        found = [tuple(point[key] for key in keys) for point in evaluation.get("coverage") or ()]
        points = [tuple(map(number_within, values, (1, 100, 100, 100))) for values in found if None not in values]
        return cls(name, tuple((t, c, p, r) for t, c, p, r in points)) if points else None


def coverage_curves(lines: Sequence[CoverageLine], *, title: str = "Masks by confidence") -> bytes:
    """Draw precision (solid) and recall (dashed) over coverage, a marked point per confidence threshold."""

    def paint(figure: Figure) -> None:
        axes = plain_axes(figure, title, "coverage: pixels kept (%)", "percent")
        for index, line in enumerate(lines):
            _line(axes, line, COLOURS[index % len(COLOURS)])
        if not lines:
            say_nothing(axes)
            return
        axes.margins(x=0.06, y=0.12)
        figure.legend(loc="outside lower center", ncols=2)

    return draw(_SIZE, paint)


def _line(axes: Axes, line: CoverageLine, colour: str) -> None:
    name = shorten_to(line.name, _NAME)
    thresholds, coverage, precision, recall = zip(*line.points, strict=True)
    axes.plot(coverage, precision, color=colour, marker="o", markersize=4, label=f"{name}: precision")
    axes.plot(coverage, recall, color=colour, marker="s", markersize=4, linestyle="--", label=f"{name}: recall")
    last = None
    for threshold, x, y in reversed(list(zip(thresholds, coverage, precision, strict=True))):
        if last is None or x - last >= _APART:
            axes.annotate(
                f"≥ {threshold:g}",
                (x, y),
                xytext=(0, 7),
                textcoords="offset points",
                ha="center",
                fontsize=8,
                color=colour,
                bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.8},
            )
            last = x
