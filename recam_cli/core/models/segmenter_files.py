"""The segmenter's file in a run: `segmenter/<network>.safetensors`, with what is needed to rebuild the network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from recam_cli.core.errors import DataError
from recam_cli.core.hardware import on_device
from recam_cli.core.models.checkpoint import load_into, read_about, save_model
from recam_cli.core.models.header import class_names, damaged, rebuilt_backbone, word
from recam_cli.core.models.segmenters import HEADS, Segmenter, build_segmenter

FOLDER = "segmenter"


def save_segmenter(path: Path, segmenter: Segmenter, classes: tuple[str, ...], **facts: Any) -> None:
    """Write a segmenter; `facts` (JSON-like, e.g. epochs=12) are kept beside what rebuilds it."""
    about = {
        "kind": "segmenter",
        "network": segmenter.network,
        "backbone": segmenter.backbone.name,
        "stride": segmenter.backbone.stride,
        "msc": segmenter.msc,
        "classes": list(classes),
    }
    save_model(path, segmenter, facts | about)


def load_segmenter(path: Path, device: torch.device) -> tuple[Segmenter, tuple[str, ...]]:
    """Read a segmenter written by `save_segmenter`, in evaluation mode with batch norm folded.

    Returns:
        The segmenter on `device` and its class names, without background.

    Raises:
        DataError: missing, damaged, or another network's.
    """
    about = read_about(path)
    if about.get("kind") != "segmenter":
        raise DataError(f"{path}: not a segmenter but a {about.get('kind', 'file of unknown kind')}")
    classes, network, msc = class_names(about, path), word(about, "network", path), about.get("msc")
    if network not in HEADS:
        raise damaged(path, "network")
    if not isinstance(msc, bool):
        raise damaged(path, "msc")
    backbone = rebuilt_backbone(about, path, "full")
    segmenter = build_segmenter(network, backbone, len(classes) + 1, msc=msc)
    load_into(path, segmenter)
    backbone.freeze_statistics()
    return on_device(segmenter.eval(), device), classes
