"""Settings of `recam check-data`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from recam_cli.core.settings.declare import setting
from recam_cli.core.settings.groups import DATA, HARDWARE, OUTPUT, DataSettings, DownloadSettings


@dataclass(frozen=True, kw_only=True)
class CheckDataSettings(DataSettings, DownloadSettings):
    """What is checked, and how severely."""

    split: str | None = setting(None, "Check this split only; without it, all there are.", panel=DATA)
    strict: bool = setting(False, "Count warnings as errors.", panel=DATA)
    workers: int = setting(2, "Processes that decode images; 0 for none.", panel=HARDWARE, minimum=0, maximum=256)
    cache: Path | None = setting(
        None, "Remember results in this file, so that a second check is instant.", panel=OUTPUT
    )
