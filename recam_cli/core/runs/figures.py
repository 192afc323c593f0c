"""The kinds of what a manifest's entries leave open: numbers that can be shown, figures of the names that are read."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

LARGEST = sys.float_info.max
"""No number is larger, either side of 0, or NaN; a training that diverges does note large ones."""
_PERCENTS = ("miou", "map", "probe_map", "cam_map", "recam_map", "cross_validated_map")
_COUNTS = ("images", "objects")
_TABLES = ("per_class", "average_precision")
_POINTS = ("label_free", "best")
_VERDICTS = ("learned", "not learned", "too few")
_OF_LEARNED = ("ap", "low", "high", "chance")


def require_numbers(values: Mapping[str, Any]) -> None:
    """Pass if every number in the values, however deep, is one that can be written and shown.

    Raises:
        ValueError: it names the first that is not.
    """
    for name, value in values.items():
        if isinstance(value, dict | list):
            inner = value if isinstance(value, dict) else {f"{name}[{k}]": part for k, part in enumerate(value)}
            require_numbers(inner)
        elif isinstance(value, int | float) and not abs(value) <= LARGEST:
            raise ValueError(f"{name} is no number that can be shown")


def require_figures(metrics: Mapping[str, Any]) -> None:
    """Pass if the metrics whose names are known are percents, counts, tables and points of curves, or null.

    Raises:
        ValueError: it names the first that is not.
    """
    for name in _PERCENTS:
        _require_number(metrics.get(name), name, 100)
    for name in _COUNTS:
        _require_number(metrics.get(name), name, LARGEST)
    _require_number(metrics.get("threshold"), "threshold", 1)
    for name in (*_TABLES, *_POINTS):
        table = metrics.get(name)
        if table is not None and not isinstance(table, dict):
            raise ValueError(f"{name} is no table")
        if name in _TABLES:
            for key, value in (table or {}).items():
                _require_number(value, f"{name} of {key}", 100)
        elif table is not None:
            _require_number(table.get("threshold"), f"threshold of {name}", 1)
            _require_number(table.get("miou"), f"miou of {name}", 100)
    _require_learned(metrics.get("learned"))


def _require_learned(table: Any) -> None:
    """Pass if the table is one of what is known of each class, or null."""
    if table is None:
        return
    if not isinstance(table, dict) or not all(isinstance(one, dict) for one in table.values()):
        raise ValueError("learned is no table of classes")
    for name, one in table.items():
        if one.get("verdict") not in _VERDICTS:
            raise ValueError(f"verdict of learned {name} is none of {', '.join(_VERDICTS)}")
        for key in _OF_LEARNED:
            _require_number(one.get(key), f"{key} of learned {name}", 100)
            if one.get(key) is None and one["verdict"] != "too few":
                raise ValueError(f"{key} of learned {name} is missing")
        if one.get("photographs") is None:
            raise ValueError(f"photographs of learned {name} are missing")
        _require_number(one["photographs"], f"photographs of learned {name}", LARGEST)


def _require_number(value: Any, name: str, largest: float) -> None:
    if value is not None and (type(value) not in (int, float) or not 0 <= value <= largest):
        raise ValueError(f"{name} is no number of 0 to {largest:g}")
