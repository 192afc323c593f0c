"""Weights on disk: safetensors whose header says what they are, and carries a hash by which damage is recognised.

The header holds one entry, "recam": JSON of the facts, and among them "sha256", the `tensor_digest` of the tensors and
of the JSON without it. (One entry, as safetensors writes several in an order of chance.) Safetensors of other tools are
read as they are.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from recam_cli.core.bounded import parse_json, reason_of, require_plain
from recam_cli.core.errors import DataError
from recam_cli.core.models.tensor_digest import tensor_digest
from recam_cli.core.runs.files import write_bytes

MAX_BYTES = 8 << 30
SUFFIX = ".safetensors"
_ABOUT, _HASH = "recam", "sha256"


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
    facts = dict(about) | {_HASH: tensor_digest(tensors, _text(about))}
    return safetensors.torch.save(tensors, metadata={_ABOUT: _text(facts)})


def _text(about: Mapping[str, Any]) -> str:
    return json.dumps(dict(about), sort_keys=True)


def read_about(path: Path) -> dict[str, Any]:
    """Return the facts written by `save_model`.

    Raises:
        DataError: not such a file.
    """
    try:
        require_plain(path)
        with safetensors.safe_open(path, framework="pt") as file:
            return _facts((file.metadata() or {})[_ABOUT])[0]
    except FileNotFoundError:
        raise DataError(f"{path}: no such weights file") from None
    except (OSError, RuntimeError, ValueError, KeyError, safetensors.SafetensorError) as error:
        raise DataError(f"{path}: not weights written by recam: {reason_of(error)}") from None


def _facts(text: str) -> tuple[dict[str, Any], str]:
    """Return the facts of a header without their hash, and the hash; raises ValueError or KeyError."""
    facts = parse_json(text)
    if not isinstance(facts, dict):
        raise ValueError("its header is no JSON object")
    return facts, str(facts.pop(_HASH))


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
    """Read the tensors of a safetensors file; those of a file of ours after checking them against its hash.

    Raises:
        DataError: missing, damaged, changed since it was written, not safetensors, or holding NaN or infinite values.
    """
    check_size(path)
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            facts = _facts(header[_ABOUT]) if _ABOUT in header else None
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
        raise DataError(f"{path}: damaged weights file: {reason_of(error)}", remedy="Restore it") from None
    if facts is not None and facts[1] != tensor_digest(state, _text(facts[0])):
        raise DataError(
            f"{path}: damaged weights file: its content does not match the hash in its header",
            remedy="Restore it, or make it anew",
        )
    if (name := not_finite(state)) is not None:
        raise DataError(f"{path}: its tensor {name} holds NaN or infinite values", remedy="Use sound weights")
    return state


def not_finite(state: Mapping[str, Tensor]) -> str | None:
    """Return the name of the first tensor that holds NaN or infinite values, or None."""
    for name, tensor in state.items():
        if not tensor.is_floating_point() or not tensor.numel():
            continue
        values = tensor.detach() if tensor.dtype in (torch.float32, torch.float64) else tensor.detach().float()
        low, high = torch.aminmax(values)  # NaN shows in both
        if not math.isfinite(low + high) and not bool(values.isfinite().all()):
            return name
    return None


def check_size(path: Path) -> None:
    """Refuse a weights file that is missing or larger than any supported network needs.

    Raises:
        DataError: it is.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such weights file", remedy="Correct the path")
    if path.stat().st_size > MAX_BYTES:
        raise DataError(f"{path}: larger than {MAX_BYTES >> 30} GiB, which no supported network needs")
