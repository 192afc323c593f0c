"""Weights on disk: safetensors with a JSON header that says what they are; torchvision's files through one door."""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from recam_cli.core.errors import DataError
from recam_cli.core.runs.files import write_bytes

_MAX_BYTES = 8 << 30


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
        with safetensors.safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {})["recam"])
    except FileNotFoundError:
        raise DataError(f"{path}: no such weights file") from None
    except (OSError, ValueError, KeyError, safetensors.SafetensorError) as error:
        raise DataError(f"{path}: not weights written by recam: {error}") from None
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
        DataError: missing, damaged, or holding anything else than tensors, or NaN or infinite values.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such weights file")
    if path.stat().st_size > _MAX_BYTES:
        raise DataError(f"{path}: larger than {_MAX_BYTES >> 30} GiB, which no supported network needs")
    try:
        if path.suffix == ".safetensors":
            return _finite(path, safetensors.torch.load_file(path))
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, safetensors.SafetensorError) as error:
        raise DataError(f"{path}: damaged weights file: {str(error).splitlines()[0]}") from None
    except (pickle.UnpicklingError, AttributeError, KeyError, TypeError, IndexError):
        raise DataError(
            f"{path}: refused: damaged, or holding more than plain tensors, which could run code",
            remedy="Save the network's state_dict() and use that",
        ) from None
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise DataError(f"{path}: not a state dict of tensors", remedy="Save the network's state_dict() and use that")
    return _finite(path, state)


def _finite(path: Path, state: dict[str, Tensor]) -> dict[str, Tensor]:
    for name, tensor in state.items():
        if not tensor.is_floating_point() or not tensor.numel():
            continue
        values = tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()
        low, high = torch.aminmax(values)  # NaN shows in both
        if not math.isfinite(low + high) and not bool(values.isfinite().all()):
            raise DataError(f"{path}: its tensor {name} holds NaN or infinite values", remedy="Use sound weights")
    return state
