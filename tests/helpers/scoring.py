"""Slow, obvious oracles for the metrics, and small data sets with masks to score."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from recam_cli.core.cams.store import STRIDE, Seed, write_seed
from recam_cli.core.data.images import write_mask
from recam_cli.core.data.samples import IGNORE, ImageSet, Sample
from recam_cli.core.settings.evaluate import EvaluateSettings
from recam_cli.core.settings.resolve import Resolved, resolve

NUM_VALUES = 5
CLASSES = ("=cow", "dog", "sky", "tree")


def masks(shape: tuple[int, int], num_values: int = NUM_VALUES) -> st.SearchStrategy[np.ndarray]:
    """Draw uint8 masks of values below `num_values` and 255."""
    return hnp.arrays(np.uint8, shape, elements=st.sampled_from([*range(num_values), IGNORE]))


def count_pixels(
    truths: Sequence[np.ndarray], predictions: Sequence[np.ndarray], num_values: int = NUM_VALUES
) -> dict[tuple[int, int], int]:
    """Count (true, predicted) pairs pixel by pixel, leaving out true 255."""
    counts = {(t, p): 0 for t in range(num_values) for p in [*range(num_values), IGNORE]}
    for truth, prediction in zip(truths, predictions, strict=True):
        for t, p in zip(truth.ravel().tolist(), prediction.ravel().tolist(), strict=True):
            if t != IGNORE:
                counts[t, p] += 1
    return counts


def slow_average_precision(scores: Sequence[float], targets: Sequence[int]) -> float | None:
    """Average precision by its definition: one precision and recall per distinct score, highest first."""
    positives = sum(targets)
    if positives == 0:
        return None
    total = recall_before = 0.0
    for limit in sorted(set(scores), reverse=True):
        taken = [t for s, t in zip(scores, targets, strict=True) if s >= limit]
        recall = sum(taken) / positives
        total += (recall - recall_before) * sum(taken) / len(taken)
        recall_before = recall
    return total


def random_seed(rng: np.random.Generator, size: tuple[int, int], classes: Sequence[int]) -> Seed:
    """Return a seed of random maps as they come back from disk, with zeros, ones and ties among them."""
    height, width = (-(-side // STRIDE) for side in size)
    maps = np.clip(rng.normal(0.4, 0.4, (len(classes), height, width)), 0, 1)
    maps = np.round(maps, 1 if rng.random() < 0.5 else 4).astype(np.float16).astype(np.float32)
    return Seed(np.asarray(classes, dtype=np.int64), maps, size)


def scored_set(
    root: Path, *, count: int = 3, split: str = "train", size: tuple[int, int] = (21, 30), seed: int = 0
) -> tuple[ImageSet, dict[str, np.ndarray]]:
    """Write `count` true masks below `root`; return the image set (no photographs) and masks by id."""
    rng = np.random.default_rng(seed)
    truths, samples = {}, []
    for index in range(count):
        labels = tuple(sorted(rng.choice(3, 2, replace=False).tolist()))  # class 3, "tree", never appears
        values = np.array([0, 0, *(k + 1 for k in labels), IGNORE], dtype=np.uint8)
        coarse = rng.choice(values, (-(-size[0] // 5), -(-size[1] // 5)))
        truth = np.kron(coarse, np.ones((5, 5), dtype=np.uint8))[: size[0], : size[1]]
        path = root / "truth" / f"img{index}.png"
        write_mask(path, truth)
        truths[f"img{index}"] = truth
        samples.append(Sample(f"img{index}", root / f"img{index}.jpg", labels, path))
    return ImageSet("custom", root, split, CLASSES, tuple(samples)), truths


def write_seeds(folder: Path, images: ImageSet, truths: dict[str, np.ndarray], seed: int = 1) -> dict[str, Seed]:
    """Write a random seed of each image's labels; return them as they read back."""
    rng = np.random.default_rng(seed)
    seeds = {}
    for sample in images:
        height, width = truths[sample.id].shape
        seeds[sample.id] = random_seed(rng, (height, width), sample.labels)
        write_seed(folder / f"{sample.id}.npz", seeds[sample.id])
    return seeds


def write_predictions(
    folder: Path, truths: dict[str, np.ndarray], *, wrong: float = 0.3, seed: int = 2
) -> dict[str, np.ndarray]:
    """Write each truth with a share of its pixels replaced by random values (255 among them)."""
    rng = np.random.default_rng(seed)
    predictions = {}
    for name, truth in truths.items():
        noise = rng.choice(np.array([0, 1, 2, 3, IGNORE], dtype=np.uint8), truth.shape)
        predictions[name] = np.where(rng.random(truth.shape) < wrong, noise, truth)
        write_mask(folder / f"{name}.png", predictions[name])
    return predictions


def settings(**flags: object) -> Resolved[EvaluateSettings]:
    """Resolve settings as the command does, `flags` counting as given on the command line."""
    return resolve(EvaluateSettings, flags=flags)
