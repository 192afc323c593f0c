"""What a classifier sees in one photograph: scores, the classes to show, and their maps as a seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from recam_cli.core.cams.fusion import SCALES, class_maps, normalised_maps
from recam_cli.core.cams.store import Seed
from recam_cli.core.data.transforms import to_tensor


@dataclass(frozen=True, eq=False)
class MappedClassifier:
    """Any classifier with global average pooling, taken apart.

    Attributes:
        features: maps normalised images (B, 3, H, W) to (B, C, h, w).
        classes: the K class names.
        map_weight: (K, C), what maps are read with.
        score_weight: (K, C), the linear layer that gives the scores.
        score_bias: (K,), or None where that layer has none.
        exclusive: scores are a softmax over the classes (ImageNet) instead of one sigmoid each.
    """

    features: Callable[[Tensor], Tensor]
    classes: tuple[str, ...]
    map_weight: Tensor
    score_weight: Tensor
    score_bias: Tensor | None = None
    exclusive: bool = False

    @torch.inference_mode()
    def scores(self, image: np.ndarray) -> np.ndarray:
        """Return the class probabilities, float32 (K,), of a photograph, uint8 (H, W, 3)."""
        batch = to_tensor(image)[None].to(self.score_weight.device)
        pooled = self.features(batch).float().mean(dim=(2, 3))[0]
        logits = self.score_weight.float() @ pooled
        if self.score_bias is not None:
            logits = logits + self.score_bias.float()
        found = logits.softmax(0) if self.exclusive else logits.sigmoid()
        return np.asarray(found.cpu(), dtype=np.float32)

    def seed(
        self,
        image: np.ndarray,
        chosen: Sequence[int],
        *,
        scales: Sequence[float] = SCALES,
        sides: Sequence[int] = (),
        flip: bool = True,
    ) -> Seed:
        """Return the maps of the `chosen` class ids as a seed; arguments as `fusion.class_maps`."""
        weight = self.map_weight[list(chosen)]
        maps = class_maps(self.features, weight, [image], scales=scales, sides=sides, flip=flip)[0]
        found = normalised_maps(maps, range(len(chosen))).cpu().numpy()
        size = int(image.shape[0]), int(image.shape[1])
        return Seed(np.asarray(chosen, dtype=np.int64), found, size)


def present_classes(scores: np.ndarray, *, minimum: float, top: int | None = None) -> list[int]:
    """Return the class ids that score at least `minimum`, best first, at most `top`; the best one always.

    Args:
        scores: (K,), K ≥ 1; of equal scores the lower id comes first.
        minimum: smallest score shown.
        top: largest number of classes, or None.
    """
    order = np.argsort(-scores, kind="stable")
    found = [int(k) for k in order if scores[k] >= minimum] or [int(order[0])]
    return found[:top]
