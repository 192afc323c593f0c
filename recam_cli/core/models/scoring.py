"""Class scores of whole photographs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from recam_cli.core.data.reading import read_batches
from recam_cli.core.data.samples import ImageSet
from recam_cli.core.data.transforms import to_tensor
from recam_cli.core.errors import NotFiniteError
from recam_cli.core.models.classifier import Classifier
from recam_cli.core.reporter import Progress


@torch.inference_mode()
def class_scores(classifier: Classifier, images: Sequence[np.ndarray]) -> np.ndarray:
    """Return sigmoid probabilities float32 (B, K) of photographs of one size, uint8 (H, W, 3) each."""
    device = classifier.fc1.weight.device
    batch = torch.stack([to_tensor(image) for image in images]).to(device)
    return np.asarray(torch.sigmoid(classifier(batch)).float().cpu())


def score_images(
    classifier: Classifier,
    image_set: ImageSet,
    progress: Progress,
    *,
    batch_size: int,
    max_pixels: int,
    workers: int,
    longest: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Score every photograph of a set at its own size, or at the longer side `longest` where that is smaller.

    Args:
        classifier: put into evaluation mode.
        image_set: the photographs.
        progress: advances by each.
        batch_size: photographs of equal size that are scored together.
        max_pixels: refuse larger photographs.
        workers: threads that read ahead.
        longest: longest side in pixels at which a photograph is scored; 0: no limit.

    Returns:
        targets and probabilities, float32 (N, K) each, rows in the same order.

    Raises:
        NotFiniteError: a photograph's score is NaN.
    """
    classifier.eval()
    targets, scores = [], []
    read = read_batches(image_set, batch_size, max_pixels=max_pixels, workers=workers, longest=longest)
    for samples, images, _ in read:
        found = class_scores(classifier, images)
        wrong = np.flatnonzero(~np.isfinite(found).all(axis=1))
        if len(wrong):
            raise NotFiniteError(f"{samples[wrong[0]].id}: a class score of this image is NaN")
        scores.append(found)
        for sample in samples:
            row = np.zeros(len(image_set.classes), dtype=np.float32)
            row[list(sample.labels)] = 1
            targets.append(row)
        progress.advance(len(samples))
    return np.stack(targets), np.concatenate(scores)
