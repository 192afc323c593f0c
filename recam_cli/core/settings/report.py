"""Settings of `recam report`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from recam_cli.core.settings.declare import setting
from recam_cli.core.settings.groups import DATA, OUTPUT, DataSettings


@dataclass(frozen=True, kw_only=True)
class ReportSettings(DataSettings):
    """What the report shows."""

    split: str | None = setting(
        None, "The split whose seeds and masks are shown; without it that of the run's seeds.", panel=DATA
    )
    predict_split: str = setting("val", "The split whose predictions are shown.", panel=DATA)
    images: int = setting(
        8,
        "Images on each contact sheet, evenly spaced over the split; 0 shows none.",
        panel=OUTPUT,
        minimum=0,
        maximum=200,
    )
    out: Path | None = setting(
        None, "Folder for report.html, curves.png and sheet.png; without it the run's.", panel=OUTPUT
    )
