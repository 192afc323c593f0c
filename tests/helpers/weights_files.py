"""Weights files to start from where what a network has learned does not matter."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file

from recam_cli.core.models.backbones import BACKBONES


def random_weights(path: Path, backbone: str = "mobilenet_v2", *, seed: int = 0) -> Path:
    """Write random weights of `backbone` in torchvision's layout as safetensors, the same from the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        save_file(BACKBONES[backbone].build().state_dict(), path)
    return path
