"""The boundary network's file in a run: `irn/irn.safetensors`, with what is needed to rebuild it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from recam_cli.core.errors import DataError
from recam_cli.core.models.backbones import build_backbone
from recam_cli.core.models.checkpoint import load_into, read_about, save_model
from recam_cli.core.models.irnet import BoundaryNet

FOLDER = "irn"
NAME = "irn.safetensors"
KIND = "boundary network"


def save_boundary(path: Path, net: BoundaryNet, **facts: Any) -> None:
    """Write a boundary network, its frozen backbone included; `facts` are kept beside what rebuilds it."""
    about = {"kind": KIND, "backbone": net.backbone.name, "stride": net.backbone.stride}
    save_model(path, net, facts | about)


def load_boundary(path: Path, device: torch.device) -> BoundaryNet:
    """Read a network written by `save_boundary`, in evaluation mode on `device`.

    Raises:
        DataError: missing, damaged, or another network's.
    """
    about = read_about(path)
    if about.get("kind") != KIND:
        raise DataError(
            f"{path}: not a boundary network but a {about.get('kind', 'file of unknown kind')}",
            remedy="Give the irn.safetensors of a run, or leave --irn-weights out",
        )
    try:
        backbone = build_backbone(str(about["backbone"]), stride=int(about["stride"]))
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: damaged header: {error}") from None
    net = BoundaryNet(backbone)
    load_into(path, net)
    return boundary_on(net.eval(), device)


def boundary_on(net: BoundaryNet, device: torch.device) -> BoundaryNet:
    """Move a network to `device`, in the memory layout that is fastest there."""
    net.to(device)
    if device.type != "mps":
        net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return net
