"""The boundary network's file in a run: `irn/irn.safetensors`, with what is needed to rebuild it.

The displacement branch is in it where it was trained (`make-masks --instances`).
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch

from recam_cli.core.errors import DataError
from recam_cli.core.models.backbones import build_backbone
from recam_cli.core.models.checkpoint import load_into, packed, read_about, read_state, save_model
from recam_cli.core.models.irnet import BoundaryNet
from recam_cli.core.runs.files import sha256_of

FOLDER = "irn"
NAME = "irn.safetensors"
KIND = "boundary network"
_DISPLACEMENT = "displacement"
"""Where the file says that it has the other branch, and how the names of that branch's tensors begin."""


def save_boundary(path: Path, net: BoundaryNet, **facts: Any) -> None:
    """Write a boundary network, its frozen backbone included; `facts` are kept beside what rebuilds it."""
    about = {"kind": KIND, "backbone": net.backbone.name, "stride": net.backbone.stride}
    if net.displacement is not None:
        about[_DISPLACEMENT] = True
    save_model(path, net, facts | about)


def boundary_digest(path: Path) -> str:
    """Return the SHA-256 the network's file has without its displacement branch, on which boundaries do not depend.

    Raises:
        DataError: missing or damaged.
    """
    about = read_about(path)
    if not about.pop(_DISPLACEMENT, False):
        return sha256_of(path)
    state = {name: t for name, t in read_state(path).items() if not name.startswith(f"{_DISPLACEMENT}.")}
    return hashlib.sha256(packed(state, about)).hexdigest()


def load_boundary(path: Path, device: torch.device, *, displacement: bool = False) -> BoundaryNet:
    """Read a network written by `save_boundary`, in evaluation mode on `device`.

    Args:
        path: the file.
        device: where the network shall lie.
        displacement: whether the displacement branch is needed; where it is there, it is read in any case.

    Raises:
        DataError: missing, damaged, another network's, or without the branch that is needed.
    """
    about = read_about(path)
    if about.get("kind") != KIND:
        raise DataError(
            f"{path}: not a boundary network but a {about.get('kind', 'file of unknown kind')}",
            remedy="Give the irn.safetensors of a run, or leave --irn-weights out",
        )
    branch = bool(about.get(_DISPLACEMENT))
    if displacement and not branch:
        raise DataError(
            f"{path}: a boundary network without a displacement branch, which --instances needs",
            remedy="Give the irn.safetensors of a run made with --instances, or leave --irn-weights out to train one",
        )
    try:
        backbone = build_backbone(str(about["backbone"]), stride=int(about["stride"]))
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: damaged header: {error}") from None
    net = BoundaryNet(backbone, displacement=branch)
    load_into(path, net)
    return boundary_on(net.eval(), device)


def boundary_on(net: BoundaryNet, device: torch.device) -> BoundaryNet:
    """Move a network to `device`, in the memory layout that is fastest there."""
    net.to(device)
    if device.type != "mps":
        net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return net
