"""Curves over training steps and over thresholds, as PNG bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from recam_cli.core.report.figure import COLOURS, draw, plain_axes, say_nothing
from recam_cli.core.report.log import Series, number_within, smoothed
from recam_cli.core.report.text import shorten_to

_SIZE = (7.2, 3.8)
_NAME = 48
Point = tuple[float, float]


@dataclass(frozen=True)
class SweepLine:
    """MIoU over seed thresholds of one method.

    Attributes:
        name: e.g. "CAM".
        points: (threshold, mIoU in percent), thresholds ascending.
        label_free: the threshold chosen without ground truth and its mIoU in percent.
    """

    name: str
    points: tuple[Point, ...]
    label_free: Point | None = None

    @property
    def best(self) -> Point | None:
        """The point of the highest mIoU, the lowest threshold of equals; chosen with ground truth."""
        return max(self.points, key=lambda point: (point[1], -point[0]), default=None)

    @classmethod
    def of(cls, name: str, evaluation: Mapping[str, Any]) -> SweepLine:
        """Take curve and label-free choice from an evaluation of seeds, in its JSON form.

        Raises:
            ValueError, TypeError, AttributeError: it is another JSON, or of figures that none of ours has.
        """
        points = tuple((_share(t), _percent(miou)) for t, miou in evaluation.get("curve") or () if miou is not None)
        chosen = evaluation.get("label_free") or {}
        known = chosen.get("threshold") is not None and chosen.get("miou") is not None
        return cls(name, points, (_share(chosen["threshold"]), _percent(chosen["miou"])) if known else None)


def _share(value: Any) -> float:
    return number_within(value, 1)


def _percent(value: Any) -> float:
    return number_within(value, 100)


def loss_curves(
    losses: Sequence[Series], *, learning_rate: Series | None = None, title: str = "Loss", x: str = "step"
) -> bytes:
    """Draw losses, each as logged (thin) and smoothed, and below them the learning rate where given."""
    rate = learning_rate if learning_rate is not None and learning_rate.y else None

    def paint(figure: Figure) -> None:
        if rate is None:
            axes = plain_axes(figure, title, x, "loss")
        else:
            axes, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
            axes.set(title=title, ylabel="loss")
            lower.set(xlabel=x, ylabel="learning rate")
            lower.plot(rate.x, rate.y, color="#5f6368", linewidth=1.4)
            lower.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
            lower.set_ylim(bottom=0)
        _losses(axes, [s for s in losses if s.y])

    return draw((_SIZE[0], _SIZE[1] + (1.4 if rate else 0.0)), paint)


def score_curves(scores: Sequence[Series], *, title: str = "mAP on held-out images", x: str = "epoch") -> bytes:
    """Draw figures in percent, such as mAP or mIoU, one marked point per evaluation."""

    def paint(figure: Figure) -> None:
        axes = plain_axes(figure, title, x, "percent")
        shown = [s for s in scores if s.y]
        for series, colour in zip(shown, _colours(len(shown)), strict=True):
            label = f"{shorten_to(series.name, _NAME)}: {series.y[-1]:.1f}"
            axes.plot(series.x, series.y, color=colour, marker="o", markersize=4, label=label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        _legend_or_nothing(axes, bool(shown))

    return draw(_SIZE, paint)


def threshold_curves(lines: Sequence[SweepLine], *, title: str = "Seeds over the threshold") -> bytes:
    """Draw mIoU over the threshold, marking each method's best and its label-free choice."""

    def paint(figure: Figure) -> None:
        axes = plain_axes(figure, title, "threshold", "mIoU (%)")
        shown = [line for line in lines if line.points]
        for line, colour in zip(shown, _colours(len(shown)), strict=True):
            _sweep(axes, line, colour)
        if not shown:
            say_nothing(axes)
            return
        axes.margins(y=0.1)
        axes.set_ylim(bottom=max(0.0, axes.get_ylim()[0]))
        figure.legend(loc="outside lower center", ncols=min(3, len(shown)))

    return draw((_SIZE[0], _SIZE[1] + 1.0), paint)


def _losses(axes: Axes, losses: Sequence[Series]) -> None:
    for series, colour in zip(losses, _colours(len(losses)), strict=True):
        few = len(series.y) < 3
        axes.plot(
            series.x,
            series.y,
            color=colour,
            linewidth=0.7,
            alpha=1.0 if few else 0.35,
            marker="o" if few else "",
            markersize=4,
        )
        label = f"{shorten_to(series.name, _NAME)}: {smoothed(series.y)[-1]:.3g}"
        axes.plot(series.x, smoothed(series.y), color=colour, linewidth=2.0, label=label)
    if any(value > 0 for series in losses for value in series.y):
        axes.set_ylim(bottom=min(0.0, *(min(series.y) for series in losses)))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _legend_or_nothing(axes, bool(losses))


def _sweep(axes: Axes, line: SweepLine, colour: str) -> None:
    x, y = zip(*line.points, strict=True)
    axes.plot(x, y, color=colour, linewidth=2.0, label=shorten_to(line.name, _NAME))
    if line.best is not None:
        label = f"best {line.best[1]:.1f} at {line.best[0]:.2f} (chosen with ground truth)"
        axes.plot(
            *line.best,
            color=colour,
            marker="*",
            markersize=14,
            linestyle="",
            markeredgecolor="white",
            label=label,
        )
    if line.label_free is not None:
        label = f"label-free {line.label_free[1]:.1f} at {line.label_free[0]:.2f}"
        axes.axvline(line.label_free[0], color=colour, linewidth=1.0, linestyle=":")
        axes.plot(
            *line.label_free,
            color="white",
            marker="o",
            markersize=8,
            linestyle="",
            markeredgecolor=colour,
            markeredgewidth=2.0,
            label=label,
        )


def _legend_or_nothing(axes: Axes, shown: bool) -> None:
    if shown:
        axes.legend(loc="best")
    else:
        say_nothing(axes)


def _colours(count: int) -> list[str]:
    return [COLOURS[i % len(COLOURS)] for i in range(count)]
