"""The small backbone that comes with recam: where its file lies, and how such files are written."""

from __future__ import annotations

from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn

from recam_cli.core.errors import UsageError
from recam_cli.core.models.backbones import BACKBONES, Backbone
from recam_cli.core.runs.files import write_bytes

BUILTIN_BACKBONE = "mobilenet_v2"
_PACKAGE = Path(__file__).resolve().parents[2]
_HEADS = ("fc.", "classifier.")


def builtin_name(backbone: str) -> str:
    """Return the name of the weights file of `backbone` pre-trained by `recam pretrain-backbone`."""
    return f"recam-{backbone}-shapes.safetensors"


def card_path(weights: Path) -> Path:
    """Return where the card of a weights file lies: beside it."""
    return weights.with_name(f"{weights.stem}.card.md")


def builtin_weights(backbone: str) -> Path:
    """Return the weights file that comes with recam: in the package (wheel), or in the clone's `checkpoints/`.

    Raises:
        UsageError: recam brings none for this backbone.
    """
    name = builtin_name(backbone)
    for folder in (_PACKAGE / "checkpoints", _PACKAGE.parent / "checkpoints"):
        if (folder / name).is_file():
            return folder / name
    if backbone == BUILTIN_BACKBONE:
        raise UsageError(
            f"--weights builtin: {name} is missing from this installation",
            remedy="Install recam again, or make the file with: recam pretrain-backbone",
        )
    raise UsageError(
        f"--weights builtin: recam brings no weights of {backbone}", remedy=f"Use --backbone {BUILTIN_BACKBONE}"
    )


def torchvision_state(backbone: Backbone) -> dict[str, Tensor]:
    """Return a backbone's weights under torchvision's names, without the classification head."""
    spec = BACKBONES[backbone.name]
    model = spec.build()
    nn.ModuleList(spec.cut(model)).load_state_dict(backbone.stages.state_dict())
    return {name: value for name, value in model.state_dict().items() if not name.startswith(_HEADS)}


def save_torchvision_state(path: Path, backbone: Backbone) -> None:
    """Write a backbone in torchvision's layout as safetensors: convolutions as float16, all else as it is.

    Batch norm keeps float32, as small variances would vanish in float16.
    """
    state = {
        name: (value.to(torch.float16) if value.dim() == 4 else value).contiguous()
        for name, value in torchvision_state(backbone).items()
    }
    write_bytes(path, safetensors.torch.save(state))
