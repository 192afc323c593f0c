"""Where a backbone's pre-trained weights come from: a file, `checkpoints/`, or torchvision's download."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

import torch
from torch import Tensor

from recam_cli.core.errors import DataError, UsageError
from recam_cli.core.models.backbones import BACKBONES
from recam_cli.core.models.builtin import builtin_weights
from recam_cli.core.models.checkpoint import read_state
from recam_cli.core.models.torchvision_gate import torchvision
from recam_cli.core.runs.files import sha256_of

CHECKPOINTS = Path("checkpoints")


@dataclass(frozen=True)
class PretrainedWeights:
    """A torchvision-layout state dict, or None for random weights, and a line that says where it came from."""

    state: dict[str, Tensor] | None
    origin: str
    sha256: str | None = None


def find_weights(backbone: str, source: str, *, folder: Path = CHECKPOINTS) -> PretrainedWeights:
    """Return the weights named by `source`.

    Args:
        backbone: registry name.
        source: "none"; a file; "builtin": the one that comes with recam; or "imagenet":
            `checkpoints/<backbone>*.safetensors|.pth` if there, else a download.
        folder: where "imagenet" looks first.

    Raises:
        UsageError: neither file nor keyword, or nothing built in for this backbone.
        DataError: the file cannot be used, or the download failed.
    """
    if source == "none":
        return PretrainedWeights(None, "random initialisation")
    if source == "imagenet":
        local = _local_file(backbone, folder)
        return _from_file(local) if local is not None else _download(backbone, folder)
    if source == "builtin":
        return _from_file(builtin_weights(backbone))
    path = Path(source)
    if not path.is_file():
        raise UsageError(f"--weights: {source} is neither a file nor one of imagenet, builtin, none")
    return _from_file(path)


def _local_file(backbone: str, folder: Path) -> Path | None:
    found = [
        path
        for pattern in (f"{backbone}.*", f"{backbone}-*")
        for path in sorted(folder.glob(pattern))
        if path.suffix in (".safetensors", ".pth", ".pt")
    ]
    return found[0] if found else None


def _from_file(path: Path) -> PretrainedWeights:
    return PretrainedWeights(read_state(path), str(path), sha256_of(path))


def _download(backbone: str, folder: Path) -> PretrainedWeights:
    enum = getattr(torchvision().models, BACKBONES[backbone].reference)
    entry = enum.IMAGENET1K_V1
    try:
        folder.mkdir(parents=True, exist_ok=True)
        state = torch.hub.load_state_dict_from_url(
            entry.url, str(folder), map_location="cpu", check_hash=True, weights_only=True
        )
    except (URLError, OSError, RuntimeError) as error:
        raise DataError(
            f"ImageNet weights of {backbone} are neither in {folder}/ nor can they be downloaded ({error})",
            remedy=f"Put torchvision's {Path(entry.url).name} into {folder}/, name a file with --weights, "
            "or train from nothing with --weights none",
        ) from None
    path = folder / Path(entry.url).name
    return PretrainedWeights(state, f"{entry.url}", sha256_of(path) if path.is_file() else None)
