"""Weights on disk: safetensors with a JSON header that says what they are; torchvision's files through one door."""

from __future__ import annotations

import json
import pickle
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from recam_cli.core.bounded import parse_json, reason_of, require_plain
from recam_cli.core.errors import DataError
from recam_cli.core.runs.files import write_bytes

_MAX_BYTES = 8 << 30
_REFUSED = (
    *(pickle.UnpicklingError, AttributeError, KeyError, TypeError, IndexError),
    # what torch's reader of the formats before 1.6 gives for damaged bytes
    *(struct.error, AssertionError, MemoryError, OverflowError, RecursionError),
)


def save_model(path: Path, model: nn.Module, about: dict[str, Any]) -> None:
    """Write a model's weights as float32 safetensors, whole or not at all.

    Args:
        path: ends in `.safetensors`.
        model: its state dict is written.
        about: JSON-like facts needed to rebuild the model; kept in the file's header.
    """
    write_bytes(path, packed(model.state_dict(), about))


def packed(state: Mapping[str, Tensor], about: dict[str, Any]) -> bytes:
    """Return the bytes of a file of `save_model`, which follow from the values alone."""
    tensors = {k: v.detach().to("cpu").contiguous().clone() for k, v in state.items()}
    return safetensors.torch.save(tensors, metadata={"recam": json.dumps(about, sort_keys=True)})


def read_about(path: Path) -> dict[str, Any]:
    """Return the facts written by `save_model`.

    Raises:
        DataError: not such a file.
    """
    try:
        require_plain(path)
        with safetensors.safe_open(path, framework="pt") as file:
            about = parse_json((file.metadata() or {})["recam"])
    except FileNotFoundError:
        raise DataError(f"{path}: no such weights file") from None
    except (OSError, ValueError, KeyError, safetensors.SafetensorError) as error:
        raise DataError(f"{path}: not weights written by recam: {reason_of(error)}") from None
    if not isinstance(about, dict):
        raise DataError(f"{path}: not weights written by recam")
    return about


def load_into(path: Path, model: nn.Module) -> None:
    """Load weights written by `save_model` into a model of the same shape.

    Raises:
        DataError: missing, damaged, or made for another network; the message names the first difference.
    """
    state = read_state(path)
    own = model.state_dict()
    wrong = [k for k in own if k not in state or state[k].shape != own[k].shape] + [k for k in state if k not in own]
    if wrong:
        raise DataError(f"{path}: weights of another network, they differ at {wrong[0]}")
    model.load_state_dict(state)


def read_state(path: Path) -> dict[str, Tensor]:
    """Read a state dict from safetensors, or from a torch file with `weights_only=True` (no code can run).

    Raises:
        DataError: missing, damaged, or holding anything else than tensors.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such weights file")
    if path.stat().st_size > _MAX_BYTES:
        raise DataError(f"{path}: larger than {_MAX_BYTES >> 30} GiB, which no supported network needs")
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, safetensors.SafetensorError) as error:
        raise DataError(f"{path}: damaged weights file: {reason_of(error)}") from None
    except _REFUSED:
        raise DataError(
            f"{path}: refused: damaged, or holding more than plain tensors, which could run code",
            remedy="Save the network's state_dict() and use that",
        ) from None
    if not isinstance(state, dict) or not all(isinstance(k, str) and _is_plain(v) for k, v in state.items()):
        raise DataError(f"{path}: not a state dict of tensors", remedy="Save the network's state_dict() and use that")
    return state


def _is_plain(value: Any) -> bool:
    """Return whether it is a tensor whose values all lie in memory: none repeated, sparse, or without storage."""
    if not isinstance(value, Tensor) or value.layout != torch.strided or value.device.type != "cpu":
        return False
    return value.numel() * value.element_size() <= value.untyped_storage().nbytes()
