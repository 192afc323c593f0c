"""Settings of `recam import-weights`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from recam_cli.core.settings.declare import setting
from recam_cli.core.settings.groups import MODEL, OUTPUT
from recam_cli.core.settings.train_cls import BackboneName


@dataclass(frozen=True, kw_only=True)
class ImportWeightsSettings:
    """Of which network the weights are, and where they go."""

    backbone: BackboneName | None = setting(
        None, "The network; without it recognised by the names and shapes of the tensors.", panel=MODEL
    )
    out: Path | None = setting(
        None,
        "The safetensors file; without it checkpoints/<backbone>.safetensors, where --weights imagenet looks.",
        panel=OUTPUT,
    )
    overwrite: bool = setting(False, "Move a different file in its place to <name>.old-<n>.", panel=OUTPUT)
