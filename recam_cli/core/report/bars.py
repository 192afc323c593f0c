"""Figures by class: bars of IoU and the confusion matrix, as PNG bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from recam_cli.core.report.figure import COLOURS, draw, plain_axes, say_nothing
from recam_cli.core.report.text import shorten_to

_NAME = 28
_LARGEST_SIDE = 200.0
"""Inches: an Agg picture may have at most 2¹⁶ pixels a side."""
_NAMED = 150
"""Above this many values there is no room for names."""
_NUMBERED = 26
"""Up to this many values the confusion matrix holds numbers."""


def class_bars(
    names: Sequence[str],
    groups: Mapping[str, Sequence[float | None]],
    *,
    title: str = "IoU by class",
    unit: str = "IoU (%)",
) -> bytes:
    """Draw one horizontal bar per class and group.

    Args:
        names: class names, from top to bottom.
        groups: method → value in percent per class; None or NaN where the class does not appear.
        title: above the axes.
        unit: below them.
    """
    per_class = 0.13 + 0.17 * max(1, len(groups))
    height = min(1.5 + per_class * max(3, len(names)), _LARGEST_SIDE)

    def paint(figure: Figure) -> None:
        axes = plain_axes(figure, title, unit, "")
        if not names or not groups:
            say_nothing(axes)
            return
        for index, (group, values) in enumerate(groups.items()):
            _bars(axes, index, len(groups), shorten_to(group, _NAME), values)
        axes.set_yticks(range(len(names)), [shorten_to(name, _NAME) for name in names])
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.set_xlim(0, 109)
        axes.set_xticks(range(0, 101, 20))
        axes.grid(visible=False, axis="y")
        if len(groups) > 1:
            figure.legend(loc="outside lower center", ncols=min(4, len(groups)))

    return draw((7.2, height), paint)


def confusion_picture(counts: np.ndarray, names: Sequence[str], *, title: str = "Confusion matrix") -> bytes:
    """Draw a confusion matrix, each row as shares of its true pixels.

    Args:
        counts: integers (V, V), [true value, predicted value].
        names: of the V mask values.
        title: above the axes.
    """
    side = min(max(4.2, 2.2 + 0.42 * len(names)), 18.0)

    def paint(figure: Figure) -> None:
        axes = plain_axes(figure, title, "predicted", "true")
        if not names:
            say_nothing(axes)
            return
        totals = counts.sum(axis=1, keepdims=True)
        shares = 100.0 * np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
        image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
        labels = [shorten_to(name, _NAME) for name in names]
        letters = min(9.0, 40.0 * side / len(names))
        axes.set_xticks(range(len(names)), labels, rotation=90, fontsize=letters)
        axes.set_yticks(range(len(names)), labels, fontsize=letters)
        axes.grid(visible=False)
        figure.colorbar(image, ax=axes, shrink=0.7, label="% of the true pixels")
        if len(names) > _NAMED:
            axes.set(xticks=[], yticks=[])
        if len(names) <= _NUMBERED:
            _numbers(axes, shares)

    return draw((side + 1.0, side), paint)


def _bars(axes: Axes, index: int, count: int, group: str, values: Sequence[float | None]) -> None:
    numbers = np.asarray([np.nan if v is None else v for v in values], dtype=np.float64)
    thickness = 0.8 / count
    places = np.arange(len(numbers)) + (index - (count - 1) / 2) * thickness
    colour = COLOURS[index % len(COLOURS)]
    axes.barh(places, np.nan_to_num(numbers), height=thickness * 0.92, color=colour, label=group)
    for place, number in zip(places, numbers, strict=True):
        text = "not present" if np.isnan(number) else f"{number:.1f}"
        at = 0.0 if np.isnan(number) else number
        axes.text(at + 0.8, place, text, va="center", fontsize=7.5, color="#5f6368")


def _numbers(axes: Axes, shares: np.ndarray) -> None:
    for (row, column), share in np.ndenumerate(shares):
        if share >= 0.5:
            colour = "white" if share > 55 else "#3c4043"
            axes.text(column, row, f"{share:.0f}", ha="center", va="center", fontsize=7.5, color=colour)
