"""Features of whole photographs, pooled over space: what the probe is fitted to. The backbone stays as it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from recam_cli.core.cams.reactivation import reactivate
from recam_cli.core.data.reading import read_batches
from recam_cli.core.data.samples import ImageSet
from recam_cli.core.data.sizes import size_at
from recam_cli.core.data.transforms import resized, to_tensor
from recam_cli.core.errors import NotFiniteError
from recam_cli.core.hardware import autocast
from recam_cli.core.memory import parts_of
from recam_cli.core.models.classifier import Classifier
from recam_cli.core.reporter import Progress
from recam_cli.core.training.probe import Views

_BATCH = 8


@dataclass(frozen=True)
class Reactivations:
    """Re-activated features of the present classes, one row per photograph, view and class.

    Attributes:
        features: float32 (P, C).
        classes: int64 (P,).
        weights: float32 (P,), of which each photograph has the same sum; 1 in all.
    """

    features: np.ndarray
    classes: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True)
class Looks:
    """How photographs are looked at.

    Attributes:
        sides: longer sides in pixels; the mirror image is seen at each, too.
        precision: "fp32" or "bf16".
        max_pixels: largest accepted photograph.
        workers: threads that read.
        together: pixels that are seen at once, mirror images included, of one photograph at least; None: all.
    """

    sides: tuple[int, ...]
    precision: str
    max_pixels: int
    workers: int
    together: int | None = None

    def features(self, classifier: Classifier, images: ImageSet, progress: Progress) -> Iterator[tuple[int, Tensor]]:
        """Yield of each photograph, by its place in the set, the features (2, C, h, w) at each side in turn.

        The second of the two is of the mirror image.
        """
        device = classifier.fc1.weight.device
        places = {sample.id: place for place, sample in enumerate(images)}
        read = read_batches(images, _BATCH, max_pixels=self.max_pixels, workers=self.workers, longest=max(self.sides))
        for batch in read:
            for side in self.sides:
                size = size_at(batch.images[0].shape[0], batch.images[0].shape[1], side)
                count = len(batch.samples)
                most = count if self.together is None else max(1, self.together // (2 * size[0] * size[1]))
                for part in parts_of(count, most):
                    found = self._seen(classifier, [resized(image, size) for image in batch.images[part]], device)
                    for row, sample in enumerate(batch.samples[part]):
                        yield places[sample.id], found[[row, len(found) // 2 + row]]
            progress.advance(len(batch.samples))

    def _seen(self, classifier: Classifier, images: Sequence[np.ndarray], device: torch.device) -> Tensor:
        """Return the features (2·B, C, h, w) of images of one size, and then of their mirror images."""
        pixels = torch.stack([to_tensor(image) for image in images]).to(device)
        views = torch.cat([pixels, pixels.flip(3)])
        if device.type == "cpu":
            views = views.contiguous(memory_format=torch.channels_last)
        with autocast(device, self.precision):
            found: Tensor = classifier.backbone(views).float()
        return found


@torch.inference_mode()
def pooled_views(classifier: Classifier, images: ImageSet, looks: Looks, progress: Progress) -> Views:
    """Return the spatial means of all photographs; the two mirror images of a side are averaged.

    Raises:
        DataError: a photograph cannot be read.
        NotFiniteError: features of a photograph are not finite.
    """
    classifier.eval()
    channels = classifier.backbone.out_channels
    features = np.zeros((len(images), len(looks.sides), channels), dtype=np.float32)
    seen = np.zeros(len(images), dtype=np.int64)
    for place, found in looks.features(classifier, images, progress):
        mean = found.mean(dim=(0, 2, 3)).cpu().numpy()
        if not np.isfinite(mean).all():
            raise NotFiniteError(
                f"{images.samples[place].id}: the backbone's features of this image are not finite",
                remedy="Use sound --weights, or compute with --precision fp32",
            )
        features[place, seen[place]] = mean
        seen[place] += 1
    return Views(features, images.targets())


@torch.inference_mode()
def reactivations(classifier: Classifier, images: ImageSet, looks: Looks, progress: Progress) -> Reactivations:
    """Return the re-activated features of all photographs that have a class, by FC1's maps; errors as above."""
    classifier.eval()
    targets = torch.from_numpy(images.targets())
    weight = classifier.fc1.weight.detach()
    rows: list[np.ndarray] = []
    classes: list[np.ndarray] = []
    weights: list[np.ndarray] = []
    for place, found in looks.features(classifier, images, progress):
        labels = targets[place].to(weight.device)
        if not labels.any():
            continue
        made = reactivate(found, weight, labels[None].expand(2, -1))
        rows.append(made.features.cpu().numpy())
        classes.append(made.classes.cpu().numpy())
        weights.append(np.full(len(made.classes), 1 / len(made.classes), dtype=np.float32))
    shares = np.concatenate(weights) if weights else np.zeros(0, np.float32)
    return Reactivations(
        np.concatenate(rows) if rows else np.zeros((0, weight.shape[1]), np.float32),
        np.concatenate(classes) if classes else np.zeros(0, np.int64),
        shares / max(1.0, float(shares.sum())),
    )
