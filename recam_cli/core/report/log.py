"""Series of figures out of `metrics.jsonl`, the log behind every curve."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from recam_cli.core.bounded import is_there, parse_json, read_bounded
from recam_cli.core.errors import RunError

_MAX_BYTES = 256 << 20
_LARGEST = 1e30
"""Numbers of this size and beyond, and NaN, are not drawn."""


@dataclass(frozen=True)
class Series:
    """Points of one curve.

    Attributes:
        name: its legend entry.
        x: steps or epochs, one number per point.
        y: values, as many.
    """

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]


def read_log(path: Path) -> list[dict[str, Any]]:
    """Read `metrics.jsonl`: one object per line. A run that has logged nothing has no file, and no lines.

    An unfinished last line, as a power cut leaves it, does not count as logged.

    Raises:
        RunError: another line is not a JSON object, or the file cannot be read; the message names it.
    """
    if not is_there(path):
        return []
    try:
        lines = read_bounded(path, _MAX_BYTES).split(b"\n")
    except OSError as error:
        raise RunError(f"{path}: cannot read the metrics log: {error.strerror}", remedy="Restore the file") from error
    records = []
    for number, line in enumerate(lines, start=1):
        unfinished = number == len(lines)
        if not line.strip():
            continue
        try:
            record = parse_json(line.decode("utf-8-sig"))
        except ValueError:
            record = None
        if isinstance(record, dict):
            records.append(record)
        elif not unfinished:
            raise RunError(f"{path}: line {number} is not a JSON object", remedy="Restore the file, or remove the line")
    return records


def series_of(
    lines: Iterable[Mapping[str, Any]],
    key: str,
    *,
    x: str = "step",
    name: str | None = None,
    where: Mapping[str, Any] | None = None,
) -> Series:
    """Collect one curve: the lines that hold numbers under both `x` and `key`, in the log's order.

    Args:
        lines: records of the log.
        key: what to plot, e.g. "loss".
        x: what to plot it over.
        name: legend entry; `key` where not given.
        where: only lines with these values, e.g. {"stage": "train-cls"}.
    """
    wanted = [line for line in lines if all(line.get(k) == v for k, v in (where or {}).items())]
    points = [(float(r[x]), float(r[key])) for r in wanted if is_number(r.get(x)) and is_number(r.get(key))]
    return Series(name or key, tuple(p[0] for p in points), tuple(p[1] for p in points))


def smoothed(values: tuple[float, ...], *, share: float = 0.05) -> np.ndarray:
    """Return the mean around each point over `share` of them, over half as many at the ends: float64."""
    numbers = np.asarray(values, dtype=np.float64)
    reach = round(len(numbers) * share / 2)
    sums = np.concatenate([[0.0], np.cumsum(numbers)])
    index = np.arange(len(numbers))
    first, last = np.maximum(index - reach, 0), np.minimum(index + reach + 1, len(numbers))
    return np.asarray((sums[last] - sums[first]) / (last - first))


def is_number(value: Any) -> TypeGuard[int | float]:
    """Return whether a value of the log can be drawn: an int or float that is neither NaN nor endlessly large."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LARGEST


def number_within(value: Any, largest: float) -> float:
    """Return a figure of an evaluation; ValueError where it is no number of 0 to `largest`."""
    if not is_number(value) or not 0 <= value <= largest:
        raise ValueError(f"{str(value)[:40]} is no number of 0 to {largest:g}")
    return float(value)
