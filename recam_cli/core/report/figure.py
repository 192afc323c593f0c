"""Matplotlib figures in one plain style, made without its global state, as PNG bytes."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

DPI = 120
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#7f7f7f")
"""Told apart by colour-blind readers too (Okabe and Ito)."""
NOTHING = "nothing to show yet"

_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10.0,
    "axes.titlesize": 11.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": "#9aa0a6",
    "axes.labelcolor": "#3c4043",
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e3e5e8",
    "grid.linewidth": 0.8,
    "xtick.color": "#5f6368",
    "ytick.color": "#5f6368",
    "text.color": "#202124",
    "text.parse_math": False,  # a "$" in a class name is a dollar sign
    "legend.frameon": False,
    "legend.fontsize": 9.0,
}


def draw(size: tuple[float, float], paint: Callable[[Figure], None]) -> bytes:
    """Return the figure that `paint` fills as PNG: equal content, equal bytes.

    Args:
        size: (width, height) in inches, of `DPI` pixels each.
        paint: adds axes to the empty figure.
    """
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # a user's own matplotlibrc must not change the report
        matplotlib.rcParams.update(_STYLE)
        figure = Figure(figsize=size, dpi=DPI, layout="constrained")
        FigureCanvasAgg(figure)
        paint(figure)
        buffer = io.BytesIO()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing from")  # drawn as an empty box
            figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def plain_axes(figure: Figure, title: str, x: str, y: str) -> Axes:
    """Return the figure's only axes, with title and axis labels."""
    axes = figure.add_subplot()
    axes.set(title=title, xlabel=x, ylabel=y)
    return axes


def say_nothing(axes: Axes) -> None:
    """Write into axes without data that there is none."""
    axes.text(0.5, 0.5, NOTHING, ha="center", va="center", transform=axes.transAxes, color="#80868b")
    axes.set(xticks=[], yticks=[])
