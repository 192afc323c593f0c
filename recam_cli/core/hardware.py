"""The device and precision computations run on, and the allocator settings that suit them."""

from __future__ import annotations

import ctypes
import os
import platform
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from recam_cli.core.errors import UsageError

Net = TypeVar("Net", bound=nn.Module)

_M_MMAP_MAX, _M_TRIM_THRESHOLD, _M_TOP_PAD = -4, -1, -2


def on_device(net: Net, device: torch.device) -> Net:
    """Move a network to `device`, in the memory layout that is fastest there."""
    net.to(device)
    if device.type != "mps":
        net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return net


def choose_device(name: str) -> torch.device:
    """Return the device called `name`: auto, cpu, cuda, cuda:<i> or mps.

    Raises:
        UsageError: it is not there; a requested device is never replaced in silence.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"--device: {name!r} is not a device", remedy="Use auto, cpu, cuda, cuda:<i> or mps") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device: this machine or this torch has no CUDA", remedy="Use --device cpu or auto")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(f"--device: no GPU {device.index}; there are {torch.cuda.device_count()}")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UsageError("--device: this machine or this torch has no MPS", remedy="Use --device cpu or auto")
    if device.type not in ("cpu", "cuda", "mps"):
        raise UsageError(f"--device: {name!r} is not supported", remedy="Use auto, cpu, cuda, cuda:<i> or mps")
    return device


def choose_precision(name: str, device: torch.device) -> str:
    """Return "fp32" or "bf16" for the setting `name`; auto takes bf16 only where hardware multiplies it fast."""
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if device.type == "cpu" and _cpu_multiplies_bf16() else "fp32"


def computed_with(precision: str) -> dict[str, Any]:
    """Return what else than settings and device the last bits depend on, for the manifest: precision and threads."""
    return {"precision": precision, "threads": torch.get_num_threads()}


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Return the context in which networks run; losses, CAM normalisation and CRF stay outside, in fp32."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def under_autocast(network: Callable[[Tensor], Any], device: torch.device, precision: str) -> Callable[[Tensor], Any]:
    """Return `network` as a function that runs in `autocast`'s context."""

    def run(batch: Tensor) -> Any:
        with autocast(device, precision):
            return network(batch)

    return run


def prepare_process(*, deterministic: bool = False) -> None:
    """Set the process up for what a stage is about to compute; every stage that computes calls it first.

    Args:
        deterministic: only operations that give the same bits each time. Those of CUDA that have no such form fail
            (`without_repeatable_form`). It holds until the next call.
    """
    _tune_allocator()
    if deterministic:
        # cuBLAS reads it when it is first used; with the one it was begun with, its sums are repeatable, too.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    if torch.get_deterministic_debug_mode() != (2 if deterministic else 0):  # torch's "error" and "default"
        torch.use_deterministic_algorithms(deterministic)  # which imports for two seconds
    torch.backends.cudnn.deterministic = deterministic
    torch.backends.cudnn.benchmark = False


@cache
def _tune_allocator() -> None:
    """Let the C allocator keep freed memory, which halves the time of a training step on a CPU (glibc only).

    Activation maps of many megabytes would otherwise be mapped, zeroed by the kernel and unmapped in every step.
    `MALLOC_ARENA_MAX` and friends set by the user win: nothing is changed then.
    """
    if platform.system() != "Linux" or any(key.startswith("MALLOC_") for key in os.environ):
        return
    try:
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
        libc.mallopt(_M_TOP_PAD, 64 << 20)
    except (OSError, AttributeError):  # musl or another C library: only speed is lost
        return


@cache
def _cpu_multiplies_bf16() -> bool:
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
