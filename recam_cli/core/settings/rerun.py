"""Settings of `recam rerun`."""

from __future__ import annotations

from dataclasses import dataclass

from recam_cli.core.settings.declare import setting
from recam_cli.core.settings.groups import DATA, OUTPUT


@dataclass(frozen=True, kw_only=True)
class RerunSettings:
    """What may differ."""

    allow_changed: bool = setting(
        False,
        "Repeat although data, weights or device are not those of then; each is told.",
        panel=DATA,
    )
    tolerance: float = setting(
        0.0,
        "Pass where scores (mIoU, AP) are within so many percentage points, whatever the bits, as between two GPUs; 0: "
        "all must be identical.",
        panel=OUTPUT,
        minimum=0,
        maximum=100,
    )
