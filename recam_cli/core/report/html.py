"""`report.html`: one file that shows a run without network or scripts."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined

from recam_cli.core.report.text import clean

_PNG = b"\x89PNG"


@dataclass(frozen=True)
class SummaryRow:
    """One line of the summary.

    Attributes:
        what: e.g. "seeds, ReCAM".
        miou: in percent; None where it was not measured.
        seconds: time the stage took; None where unknown.
        split: the images scored, e.g. "train".
        note: e.g. "threshold 0.21, chosen with ground truth".
    """

    what: str
    miou: float | None = None
    seconds: float | None = None
    split: str = ""
    note: str = ""


@dataclass(frozen=True)
class Picture:
    """An image: PNG or JPEG bytes; the title is read in its place, the caption stands below it."""

    title: str
    data: bytes
    caption: str = ""


@dataclass(frozen=True)
class ClassTable:
    """Figures by class, in percent.

    Attributes:
        title: e.g. "IoU on val".
        columns: headings after the class name.
        rows: (class name, value per column); None where undefined.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[float | None, ...]], ...]


@dataclass(frozen=True)
class StageSettings:
    """How a stage was run: its command line and (setting, value, where the value came from)."""

    stage: str
    command: str
    rows: tuple[tuple[str, Any, str], ...]


@dataclass(frozen=True)
class ReportData:
    """All that the page shows; whatever is empty is left out.

    Attributes:
        title: heading, e.g. the run's name.
        subtitle: one line below it.
        notes: remarks the reader must see, e.g. that a threshold saw ground truth.
        summary: the table at the top.
        curves: figures, two beside each other where there is room.
        sheets: contact sheets, full width.
        tables: figures by class.
        settings: per stage.
        versions: package → version.
    """

    title: str
    subtitle: str = ""
    notes: Sequence[str] = ()
    summary: Sequence[SummaryRow] = ()
    curves: Sequence[Picture] = ()
    sheets: Sequence[Picture] = ()
    tables: Sequence[ClassTable] = ()
    settings: Sequence[StageSettings] = ()
    versions: Mapping[str, str] = field(default_factory=dict)


def render_report(data: ReportData) -> str:
    """Return the page. Every name and value is escaped; images are embedded.

    Equal data gives an equal page.
    """
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_one_line
    )
    environment.filters.update(
        uri=data_uri, percent=percent_text, seconds=seconds_text, value=value_text, share=_bar_share
    )
    template = files("recam_cli.core.report").joinpath("report.html.j2").read_text(encoding="utf-8")
    return environment.from_string(template).render(report=data)


def data_uri(image: bytes) -> str:
    """Return a PNG or JPEG as a `data:` address."""
    kind = "png" if image.startswith(_PNG) else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(image).decode('ascii')}"


def percent_text(value: float | None) -> str:
    """Return a percent with one decimal, or a dash where there is none."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.1f}"


def seconds_text(value: float | None) -> str:
    """Return a duration as people say it: "0.4 s", "12 s", "3 min 05 s", "2 h 03 min"."""
    if value is None or not math.isfinite(value):
        return "–"
    if value < 9.95:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(value / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"


def value_text(value: Any) -> str:
    """Return a setting's value as one writes it: "–" for none, "yes" and "no", lists with commas."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return ", ".join(value_text(item) for item in value)
    return str(value)


def _bar_share(value: float | None) -> str:
    return "0" if value is None or not math.isfinite(value) else f"{min(max(value, 0.0), 100.0):.1f}"


def _one_line(value: Any) -> Any:
    # Only names lose what UTF-8 cannot hold; Markup, which is escaped already, passes through.
    return clean(value) if type(value) is str else value
