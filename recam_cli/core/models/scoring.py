"""Class scores of whole photographs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from recam_cli.core.data.reading import read_batches
from recam_cli.core.data.samples import ImageSet
from recam_cli.core.data.transforms import to_tensor
from recam_cli.core.errors import NotFiniteError
from recam_cli.core.memory import parts_of
from recam_cli.core.models.classifier import Classifier
from recam_cli.core.reporter import Progress


@torch.inference_mode()
def class_scores(classifier: Classifier, images: Sequence[np.ndarray], *, together: int | None = None) -> np.ndarray:
    """Return sigmoid probabilities float32 (B, K) of photographs of one size, uint8 (H, W, 3) each.

    At most `together` pixels, of one photograph at least, are seen at once; None: all.
    """
    device = classifier.fc1.weight.device
    area = images[0].shape[0] * images[0].shape[1]
    found = []
    for part in parts_of(len(images), len(images) if together is None else max(1, together // area)):
        batch = torch.stack([to_tensor(image) for image in images[part]]).to(device)
        found.append(np.asarray(torch.sigmoid(classifier(batch)).float().cpu()))
    return np.concatenate(found)


def score_images(
    classifier: Classifier,
    image_set: ImageSet,
    progress: Progress,
    *,
    batch_size: int,
    max_pixels: int,
    workers: int,
    longest: int = 0,
    together: int | None = None,
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
        together: pixels that are seen at once, as of `class_scores`.

    Returns:
        targets and probabilities, float32 (N, K) each, rows in the same order.

    Raises:
        NotFiniteError: a photograph's score is NaN.
    """
    classifier.eval()
    targets, scores = [], []
    read = read_batches(image_set, batch_size, max_pixels=max_pixels, workers=workers, longest=longest)
    for samples, images, _ in read:
        found = class_scores(classifier, images, together=together)
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
