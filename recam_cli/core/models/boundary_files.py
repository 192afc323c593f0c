"""What is particular to the boundary network's file: the displacement branch is in it where it was trained.

`make-masks --instances` trains it; boundaries do not depend on it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch

from recam_cli.core.errors import DataError
from recam_cli.core.models.branch_files import BOUNDARY, load_branch
from recam_cli.core.models.checkpoint import packed, read_about, read_state
from recam_cli.core.models.irnet import BoundaryNet
from recam_cli.core.runs.files import sha256_of

_DISPLACEMENT = "displacement"
"""Where the file says that it has the other branch, and how the names of that branch's tensors begin."""


def load_boundary(path: Path, device: torch.device, *, displacement: bool = False) -> BoundaryNet:
    """Read a network written by `save_branch`, in evaluation mode on `device`.

    Args:
        path: the file.
        device: where the network shall lie.
        displacement: whether the displacement branch is needed; where it is there, it is read in any case.

    Raises:
        DataError: missing, damaged, another network's, or without the branch that is needed.
    """
    net = load_branch(path, BOUNDARY, device)
    if displacement and net.displacement is None:
        raise DataError(
            f"{path}: a boundary network without a displacement branch, which --instances needs",
            remedy="Give the irn.safetensors of a run made with --instances, or leave --irn-weights out to train one",
        )
    return net


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
