"""The one door for torch files (`.pth`), which are pickles: no code of theirs runs, and plain tensors alone come in."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from recam_cli.core.errors import DataError
from recam_cli.core.models.checkpoint import check_size
from recam_cli.core.resources import lack_of

MAX_NUMBERS = 400_000_000
"""More than any backbone has with its classification head (VGG16: 138 million)."""
_NESTED = ("state_dict", "model", "model_state_dict", "net", "network", "module", "weights")
_PREFIXES = ("module.", "model.", "backbone.")
_REMEDY = "Save the network's state_dict() with torch.save and import that"


def read_foreign(path: Path) -> dict[str, Tensor]:
    """Read the state dict of a torch file with `weights_only=True`.

    It may lie under one of the usual names of a training's checkpoint ("state_dict", "model", …), and all its names
    may begin with "module.", "model." or "backbone.", which is taken off.

    Returns:
        dense tensors of numbers on the CPU, by name.

    Raises:
        DataError: missing, damaged, compressed, or holding anything else than plain tensors.
    """
    check_size(path)
    _refuse_compressed(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the pickle's protocol; what it holds is checked below
            held = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}", remedy="Correct the path") from error
    except Exception as error:  # an unpickler meets damage, and what it refuses to run, with nearly any error
        raise lack_of(error, str(path)) or DataError(
            f"{path}: refused: damaged, or holding more than plain tensors, which could run code "
            f"({type(error).__name__})",
            remedy=_REMEDY,
        ) from None
    state = _without_prefix(_state_dict(held, path))
    for name, tensor in state.items():
        _refuse_odd(name, tensor, path)
    if sum(tensor.numel() for tensor in state.values()) > MAX_NUMBERS:
        raise DataError(f"{path}: more than {MAX_NUMBERS:,} numbers, which no supported network has")
    return state


def _refuse_compressed(path: Path) -> None:
    """Refuse a zip with packed members: torch writes none, and a small one could fill the memory."""
    try:
        if not zipfile.is_zipfile(path):
            return
        with zipfile.ZipFile(path) as archive:
            packed = any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist())
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: damaged weights file: {error}", remedy="Restore it") from None
    if packed:
        raise DataError(f"{path}: refused: compressed, which torch files are not", remedy=_REMEDY)


def _state_dict(held: Any, path: Path) -> dict[str, Tensor]:
    candidates = [held]
    if isinstance(held, Mapping):
        candidates += [held[name] for name in _NESTED if name in held]
    for found in candidates:
        if isinstance(found, Mapping) and found and all(_is_entry(item) for item in found.items()):
            return dict(found)
    raise DataError(f"{path}: not a state dict of tensors", remedy=_REMEDY)


def _is_entry(item: tuple[Any, Any]) -> bool:
    return isinstance(item[0], str) and isinstance(item[1], Tensor)


def _without_prefix(state: dict[str, Tensor]) -> dict[str, Tensor]:
    for prefix in _PREFIXES:
        if all(name.startswith(prefix) for name in state):
            return _without_prefix({name[len(prefix) :]: tensor for name, tensor in state.items()})
    return state


def _refuse_odd(name: str, tensor: Tensor, path: Path) -> None:
    known = tensor.dtype in (torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64)
    plain = known and tensor.layout == torch.strided and not tensor.is_quantized and tensor.device.type == "cpu"
    # Values that are repeated, or have no storage, would fill the memory once copied.
    if not plain or tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise DataError(f"{path}: {name[:100]} is no dense tensor of numbers ({tensor.dtype})", remedy=_REMEDY)
