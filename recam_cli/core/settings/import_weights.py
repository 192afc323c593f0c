"""Settings of `recam import-weights`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from recam_cli.core.settings.backbone_names import check_backbone
from recam_cli.core.settings.declare import setting
from recam_cli.core.settings.groups import MODEL, OUTPUT


@dataclass(frozen=True, kw_only=True)
class ImportWeightsSettings:
    """Of which network the weights are, and where they go."""

    backbone: str | None = setting(
        None,
        "The network, named as for train-cls; without it recognised by the names and shapes of the tensors, but for "
        "timm's.",
        panel=MODEL,
        check=check_backbone,
    )
    out: Path | None = setting(
        None,
        "The safetensors file; without it checkpoints/<backbone>.safetensors, where --weights imagenet looks.",
        panel=OUTPUT,
    )
    overwrite: bool = setting(False, "Move a different file in its place to <name>.old-<n>.", panel=OUTPUT)
