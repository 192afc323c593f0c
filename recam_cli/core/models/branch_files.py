"""Files of the networks that make-masks trains, such as `irn/irn.safetensors`, with what rebuilds them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import nn

from recam_cli.core.errors import DataError
from recam_cli.core.hardware import on_device
from recam_cli.core.models.affinity_net import AffinityNet
from recam_cli.core.models.backbones import Backbone, build_backbone
from recam_cli.core.models.branch import Branch
from recam_cli.core.models.checkpoint import load_into, read_about, save_model
from recam_cli.core.models.header import damaged, rebuilt_backbone
from recam_cli.core.models.irnet import BoundaryNet
from recam_cli.core.models.segmenter_start import Start

Net = TypeVar("Net", bound=Branch)
Trained = TypeVar("Trained", bound=nn.Module)


class NetKind(Protocol[Trained]):
    """One kind of network that make-masks trains.

    Attributes:
        name: its folder in a run, its file and its settings are named after it.
        describe: the network in words, also noted in the file.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def describe(self) -> str: ...  # noqa: D102

    def file(self, run: Path, suffix: str) -> Path:
        """Return where a run keeps it; `suffix` is the variant's."""
        ...

    def begin(self, start: Start, seed: int, **facts: Any) -> Trained:
        """Return one that has learned nothing, on the CPU; what is drawn follows from `seed`.

        Raises:
            DataError: the initial weights do not fit.
        """
        ...

    def save(self, path: Path, net: Trained, **facts: Any) -> None:
        """Write one; `facts` are kept beside what rebuilds it."""
        ...

    def load(self, path: Path, device: torch.device) -> Trained:
        """Read one, in evaluation mode on `device`.

        Raises:
            DataError: missing, damaged, or another network's.
        """
        ...


@dataclass(frozen=True)
class BranchKind(Generic[Net]):
    """One kind of network that guides a walk.

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
        return branch_file(self.name, run, suffix)

    def begin(self, start: Start, seed: int, **facts: Any) -> Net:
        """Return one that has learned nothing, as of `NetKind.begin`; `facts` as of `Branch.facts`."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            try:
                backbone = build_backbone(start.backbone, stride=self.net.backbone_stride, state=start.state)
            except ValueError as error:
                raise DataError(f"{start.origin}: {error}", remedy=f"Choose another --{self.name}-init") from None
        if start.stages is not None:
            backbone.load_state_dict(start.stages)
        net = self.build(backbone, **facts)
        net.reset(torch.Generator().manual_seed(seed))
        return net

    def save(self, path: Path, net: Net, **facts: Any) -> None:
        """Write one, as `save_branch`."""
        save_branch(path, self, net, **facts)

    def load(self, path: Path, device: torch.device) -> Net:
        """Read one, as `load_branch`."""
        return load_branch(path, self, device)


def branch_file(name: str, run: Path, suffix: str) -> Path:
    """Return where a run keeps the network called `name`; `suffix` is the variant's."""
    return run / f"{name}{suffix}" / f"{name}.safetensors"


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


def _with_article(noun: str) -> str:
    return f"{'an' if noun[:1] in 'aeiou' else 'a'} {noun}"
