"""Foreign weights of a backbone become safetensors of ours: checked against the network, with their origin noted."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from recam_cli.core.errors import DataError, RunError, UsageError
from recam_cli.core.models.backbones import BACKBONES, layout_of, state_fault
from recam_cli.core.models.checkpoint import SUFFIX, not_finite, packed, read_state
from recam_cli.core.models.foreign import read_foreign
from recam_cli.core.runs.files import atomic_file, sha256_of
from recam_cli.core.runs.items import names_aside
from recam_cli.core.settings.backbone_names import is_timm

KIND = "backbone"


@dataclass(frozen=True)
class Imported:
    """An imported file.

    Attributes:
        path: the safetensors file.
        sha256: its hash.
        backbone: registry name of the network it is of.
        tensors: their number.
        source_sha256: hash of the original file.
        kept: where a different file that was there before lies, or None.
    """

    path: Path
    sha256: str
    backbone: str
    tensors: int
    source_sha256: str
    kept: Path | None


def import_weights(
    source: Path, backbone: str | None, target: Path | None, folder: Path, *, overwrite: bool, name: str | None = None
) -> Imported:
    """Write the weights of a foreign file as safetensors, whole or not at all.

    Args:
        source: a torch file, or another tool's safetensors; torchvision's layout, with or without its head.
        backbone: registry name; None recognises it by the names and shapes of the tensors.
        target: the file to write; None is `<folder>/<backbone>.safetensors`, which `find_weights` looks for.
        folder: see `target`.
        overwrite: move a different file in its place to `<name>.old-<n>` instead of refusing.
        name: noted as the original's name where `source` is but a temporary one.

    Raises:
        UsageError: `target` is no safetensors file.
        DataError: the file cannot be used, is of another network, or holds NaN or infinite numbers.
        RunError: a different file lies in its place, or the folder cannot be written.
    """
    state = read_state(source) if source.suffix == SUFFIX else read_foreign(source)
    backbone = fitting_backbone(state, backbone, source)
    if (wrong := not_finite(state)) is not None:
        raise DataError(f"{source}: NaN or infinite numbers in {wrong[:100]}", remedy="Get the file anew")
    source_sha256 = sha256_of(source)
    about = {
        "kind": KIND,
        "backbone": backbone,
        "layout": "timm" if is_timm(backbone) else "torchvision",
        "imported_from": name or source.name,
        "imported_sha256": source_sha256,
    }
    path = target or folder / f"{backbone}{SUFFIX}"
    kept = _write(path, state, about, overwrite)
    return Imported(path, sha256_of(path), backbone, len(state), source_sha256, kept)


def fitting_backbone(state: dict[str, Tensor], backbone: str | None, source: Path) -> str:
    """Return the name of the backbone that weights in torchvision's layout are of.

    Raises:
        DataError: they are not of `backbone`, or of none where that is None; the message names the first difference.
    """
    if backbone is not None:
        fault = state_fault(backbone, layout_of(backbone), state)
        if fault is not None:
            raise DataError(f"{source}: {fault}", remedy="Leave --backbone out to have it recognised")
        return backbone
    layouts = {name: layout_of(name) for name in BACKBONES}
    faults = {name: state_fault(name, layout, state) for name, layout in layouts.items()}
    fitting = next((name for name, fault in faults.items() if fault is None), None)
    if fitting is None:
        nearest = max(layouts, key=lambda name: _in_common(layouts[name], state))
        raise DataError(
            f"{source}: weights of none of {', '.join(BACKBONES)}; the nearest: {faults[nearest]}",
            remedy="Use torchvision's layout",
        )
    return fitting


def _in_common(layout: dict[str, torch.Size], state: dict[str, Tensor]) -> int:
    return sum(name in state and state[name].shape == shape for name, shape in layout.items())


def _write(path: Path, state: dict[str, Tensor], about: dict[str, Any], overwrite: bool) -> Path | None:
    """Write the file unless it is there already; return where a different one was moved to, or None."""
    if path.suffix != SUFFIX:
        raise UsageError(f"--out: {path} does not end in {SUFFIX}")
    data = packed(state, about)
    aside = None
    if path.exists():
        if path.is_file() and sha256_of(path) == hashlib.sha256(data).hexdigest():
            return None
        aside = names_aside([path])[path]
        if not overwrite:
            raise RunError(
                f"{path} is there already, and different",
                remedy=f"Name another file with --out, or add --overwrite, which keeps the old one in {aside.name}",
            )
    with atomic_file(path) as file:
        file.write(data)
        if aside is not None:
            path.rename(aside)
    return aside
