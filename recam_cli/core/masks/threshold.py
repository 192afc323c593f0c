"""The background threshold of seeds, chosen without ground truth."""

from __future__ import annotations
