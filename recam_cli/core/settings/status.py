"""Settings of `recam status`."""

from __future__ import annotations

from dataclasses import dataclass

from recam_cli.core.settings.declare import setting
from recam_cli.core.settings.groups import OUTPUT


@dataclass(frozen=True, kw_only=True)
class StatusSettings:
    """What is looked at besides the manifest."""

    verify: bool = setting(
        False, "Compare every file with the hash its stage noted; exit 5 where one differs.", panel=OUTPUT
    )
