"""The segmenter of self-training: that of one's own photographs (LR-ASPP), on the run's backbone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recam_cli.core.cams.store import Seed
from recam_cli.core.masks.self_training import joined
from recam_cli.core.models.branch_files import branch_file
from recam_cli.core.models.segment_inference import predict_probabilities
from recam_cli.core.models.segmenter_files import load_segmenter, save_segmenter
from recam_cli.core.models.segmenter_start import Start, start_backbone
from recam_cli.core.models.segmenters import Segmenter, build_segmenter
from recam_cli.core.settings.self_training import LEARNING

SELF = "self"
"""Its name in a run."""


@dataclass(frozen=True)
class SelfTaught:
    """The kind of network, for a list of classes; see `branch_files.NetKind`.

    Attributes:
        classes: their names, without background.
    """

    classes: tuple[str, ...]
    name: str = SELF
    describe: str = "segmenter of self-training"

    def file(self, run: Path, suffix: str) -> Path:
        """Return where a run keeps it; `suffix` is the variant's."""
        return branch_file(self.name, run, suffix)

    def begin(self, start: Start, seed: int, **facts: Any) -> Segmenter:
        """Return one that has learned nothing, its first stages, which tell edges and textures, frozen; no `facts`.

        Raises:
            DataError: the initial weights do not fit.
        """
        backbone = start_backbone(start, int(LEARNING.stride), seed)
        generator = torch.Generator().manual_seed(seed)
        segmenter = build_segmenter(LEARNING.network, backbone, len(self.classes) + 1, generator=generator)
        if start.trained:
            backbone.freeze_stages(LEARNING.freeze_stages)
        return segmenter

    def save(self, path: Path, net: Segmenter, **facts: Any) -> None:
        """Write one; `facts` are kept beside what rebuilds it."""
        save_segmenter(path, net, self.classes, **facts)

    def load(self, path: Path, device: torch.device) -> Segmenter:
        """Read one, in evaluation mode on `device`.

        Raises:
            DataError: missing, damaged, or another network's.
        """
        return load_segmenter(path, device)[0]


def join(
    seeds: Sequence[Seed],
    images: Sequence[np.ndarray],
    segmenter: Segmenter,
    threshold: float,
    weight: float,
    precision: str,
    names: Sequence[str] | None = None,
) -> list[Seed]:
    """Return the seeds of photographs of one size, joined with what the segmenter sees in them.

    Args:
        seeds: B walked seeds, all on one grid.
        images: their working copies, uint8 (H, W, 3).
        segmenter: on its device.
        threshold: the background's score among the walked seeds.
        weight: of the segmenter.
        precision: "fp32" or "bf16".
        names: the photographs', for messages.

    Raises:
        NotFiniteError: the segmenter's output of a photograph is not finite.
    """
    grid = (seeds[0].maps.shape[1], seeds[0].maps.shape[2])
    side = LEARNING.predict_side
    chances = predict_probabilities(segmenter, images, side=side, precision=precision, names=names, cells=grid)
    return [joined(seed, threshold, one, weight) for seed, one in zip(seeds, chances.cpu().numpy(), strict=True)]
