"""Settings of `recam status`: none of its own."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class StatusSettings:
    """Nothing to set besides the run."""
