"""Files of the networks that guide a walk, `irn/irn.safetensors` and `psa/psa.safetensors`, with what rebuilds them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch

from recam_cli.core.errors import DataError
from recam_cli.core.models.affinity_net import AffinityNet
from recam_cli.core.models.backbones import Backbone
from recam_cli.core.models.branch import Branch
from recam_cli.core.models.checkpoint import load_into, read_about, save_model
from recam_cli.core.models.header import damaged, rebuilt_backbone
from recam_cli.core.models.irnet import BoundaryNet

Net = TypeVar("Net", bound=Branch)


@dataclass(frozen=True)
class BranchKind(Generic[Net]):
    """One kind of network.

    Attributes:
        name: "irn" or "psa": its folder in a run, its file and its settings are named after it.
        describe: the network in words, also noted in the file.
        net: its class.
        facts: names of what else than the backbone rebuilds one, as of `Branch.facts`; each true or false.
    """

    name: str
    describe: str
    net: type[Net]
    facts: tuple[str, ...] = ()

    def build(self, backbone: Backbone, **facts: Any) -> Net:
        """Return a network of this kind on a backbone of `net.backbone_stride`."""
        return self.net(backbone, **facts)

    def file(self, run: Path, suffix: str) -> Path:
        """Return where a run keeps it; `suffix` is the variant's."""
        return run / f"{self.name}{suffix}" / f"{self.name}.safetensors"


BOUNDARY = BranchKind("irn", "boundary network", BoundaryNet, ("displacement",))
AFFINITY = BranchKind("psa", "affinity network", AffinityNet)


def save_branch(path: Path, kind: BranchKind[Net], net: Net, **facts: Any) -> None:
    """Write a network, its frozen backbone included; `facts` are kept beside what rebuilds it."""
    about = {"kind": kind.describe, "backbone": net.backbone.name, "stride": net.backbone.stride}
    save_model(path, net, facts | about | net.facts())


def load_branch(path: Path, kind: BranchKind[Net], device: torch.device) -> Net:
    """Read a network written by `save_branch`, in evaluation mode on `device`.

    Raises:
        DataError: missing, damaged, or another network's.
    """
    about = read_about(path)
    if about.get("kind") != kind.describe:
        found = str(about.get("kind", "file of unknown kind"))
        raise DataError(
            f"{path}: not {_with_article(kind.describe)} but {_with_article(found)}",
            remedy=f"Give the {kind.name}.safetensors of a run, or leave --{kind.name}-weights out",
        )
    facts = {name: about[name] for name in kind.facts if name in about}
    wrong = next((name for name, value in facts.items() if not isinstance(value, bool)), None)
    if wrong is not None:
        raise damaged(path, wrong)
    net = kind.build(rebuilt_backbone(about, path), **facts)
    load_into(path, net)
    return on_device(net.eval(), device)


def on_device(net: Net, device: torch.device) -> Net:
    """Move a network to `device`, in the memory layout that is fastest there."""
    net.to(device)
    if device.type != "mps":
        net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return net


def _with_article(noun: str) -> str:
    return f"{'an' if noun[:1] in 'aeiou' else 'a'} {noun}"
