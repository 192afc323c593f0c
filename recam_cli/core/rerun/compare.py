"""What differs between a run and its repetition: weights bit by bit, files by content, scores by value."""

from __future__ import annotations

import filecmp
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from recam_cli.core.bounded import real_path
from recam_cli.core.cams.store import read_seed
from recam_cli.core.data.images import read_mask
from recam_cli.core.errors import RecamError
from recam_cli.core.models.checkpoint import read_state
from recam_cli.core.runs.manifest import StageEntry
from recam_cli.core.runs.run import Run

_COMPARED = (".safetensors", ".npz", ".png", ".json", ".csv")
_MAPS = ("map", "cross_validated_map", "probe_map", "cam_map", "recam_map")
_SCORES = (*_MAPS, "average_precision", "miou", "pixel_accuracy", "per_class", "best")
_HEADLINES = {"miou": "mIoU", "map": "mAP", "cross_validated_map": "mAP, cross-validated"}
_NAMED = 3


@dataclass
class StageComparison:
    """One stage, then and now.

    Attributes:
        stage: as the manifests name it.
        files: compared, those that one side lacks among them.
        differing: of these, whose content differs.
        missing: of these, which one side lacks.
        pixels: of masks, in which they differ.
        largest: difference of a weight, or of a value of a class map; None where these have other names or shapes.
        score: what the headline score is called, or None without one.
        then, now: that score, in percent.
        points: largest difference of any score, in percentage points; infinite where only one side has it.
        names: the first files that differ.
    """

    stage: str
    files: int = 0
    differing: int = 0
    missing: int = 0
    pixels: int = 0
    largest: float | None = 0.0
    score: str | None = None
    then: float | None = None
    now: float | None = None
    points: float = 0.0
    names: list[str] = field(default_factory=list)

    @property
    def identical(self) -> bool:
        """Whether nothing differs."""
        return not self.differing and not self.missing and self.points == 0

    def passes(self, tolerance: float) -> bool:
        """Return whether it is identical or, with a tolerance in percentage points, its scores are within it."""
        return self.identical or (tolerance > 0 and not self.missing and self.points <= tolerance)

    def as_dict(self) -> dict[str, Any]:
        """Return it JSON-ready; infinite differences as null."""
        finite = {"points": self.points if math.isfinite(self.points) else None}
        return {**vars(self), **finite, "identical": self.identical}

    def note(self, name: str) -> None:
        """Remember the name of a file that differs."""
        if len(self.names) < _NAMED:
            self.names.append(name)


def compare_stage(stage: str, then: Run, now: Run) -> StageComparison:
    """Compare what a stage, finished in both runs, left; files of evaluations are their scores."""
    old, new = then.require(stage), now.require(stage)
    found = StageComparison(stage)
    if not stage.startswith("evaluate-"):
        for name in _files_of(old, then, new, now):
            _compare_file(then.path / name, now.path / name, name, found)
    _compare_scores(old.metrics, new.metrics, found)
    return found


def _files_of(old: StageEntry, then: Run, new: StageEntry, now: Run) -> list[str]:
    """Return the names, within a run, of the files that either side has."""
    names: set[str] = set()
    for entry, run in ((old, then), (new, now)):
        for output in entry.outputs.values():
            path = run.path / output.path
            if not real_path(path).is_relative_to(real_path(run.path)):
                continue
            if path.is_dir():
                names |= {str(p.relative_to(run.path)) for p in path.iterdir() if _counts(p)}
            else:
                names.add(output.path)
    return sorted(names)


def _counts(path: Path) -> bool:
    return path.suffix in _COMPARED and not path.name.startswith(".") and path.is_file()


def _compare_file(old: Path, new: Path, name: str, found: StageComparison) -> None:
    found.files += 1
    if not old.is_file() or not new.is_file():
        found.missing += 1
        found.note(name)
        return
    if filecmp.cmp(old, new, shallow=False):
        return
    largest, pixels = _content(old, new)
    if largest == 0 and pixels == 0:
        return
    found.differing += 1
    found.pixels += pixels
    found.largest = None if largest is None or found.largest is None else max(found.largest, largest)
    found.note(name)


def _content(old: Path, new: Path) -> tuple[float | None, int]:
    """Return the largest difference of values, and the number of differing pixels; None: not comparable."""
    try:
        if old.suffix == ".safetensors":
            return _apart(read_state(old), read_state(new)), 0
        if old.suffix == ".npz":
            return _apart(_of_seed(old), _of_seed(new)), 0
        if old.suffix == ".png":
            masks = read_mask(old), read_mask(new)
            same_size = masks[0].shape == masks[1].shape
            return 0.0, int((masks[0] != masks[1]).sum()) if same_size else int(masks[0].size)
    except (RecamError, OSError, ValueError, KeyError, TypeError):
        return None, 0  # one of them cannot be read
    return None, 0


def _of_seed(path: Path) -> dict[str, Tensor]:
    seed = read_seed(path)
    return {"classes": torch.tensor(seed.classes), "maps": torch.tensor(seed.maps), "size": torch.tensor(seed.size)}


def _apart(old: Mapping[str, Tensor], new: Mapping[str, Tensor]) -> float | None:
    """Return the largest difference of tensors of the same names, 0 only for the same bits; None: others."""
    if {n: (t.shape, t.dtype) for n, t in old.items()} != {n: (t.shape, t.dtype) for n, t in new.items()}:
        return None
    largest = 0.0
    for name, one in old.items():
        other = new[name]
        if torch.equal(_bits(one), _bits(other)):
            continue
        gap = float((one.double() - other.double()).abs().max())
        largest = max(largest, gap or math.ulp(0.0))  # +0 and -0 are other bits
    return largest


def _bits(tensor: Tensor) -> Tensor:
    return tensor.contiguous().reshape(-1).view(torch.uint8)


def _compare_scores(then: Mapping[str, Any], now: Mapping[str, Any], found: StageComparison) -> None:
    old, new = (dict(_leaves({n: m[n] for n in _SCORES if n in m})) for m in (then, now))
    for name in old.keys() | new.keys():
        one, other = old.get(name), new.get(name)
        if one != other:
            found.points = max(found.points, math.inf if one is None or other is None else round(abs(one - other), 6))
    headline = next((name for name in _HEADLINES if name in then), None)
    if headline is not None:
        found.score, found.then, found.now = _HEADLINES[headline], then[headline], now.get(headline)


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, float | None]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}")
    elif value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        yield name, value
