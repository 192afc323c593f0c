"""The probe: a linear classifier fitted to the features of a backbone that stays as it is.

With one bias-free row w_k a class, the logit of a view is w_k · mean_hw f, as of FC1, so the fitted rows *are* FC1 and
class maps are read with them. The loss is convex: there is one answer, whatever the seed, and features of ImageNet
cannot be spoiled. Views are the whole photograph and its mirror image at several longer sides, so that a class is
known at any size. Features are divided by their deviation before the ridge term, which is folded back into the rows.
A channel that hardly varies would only be blown up by that, so no mean becomes larger than ten.

FC2 is fitted in the same way when phase 2 begins, to the re-activated features as they are then (ReCAM, CVPR 2022,
§3.2) brought to unit length, as the loss SCE is: softmax cross-entropy over the classes, each photograph weighing the
same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from recam_cli.core.errors import TrainingError

RIDGES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Weights of the ridge term to choose from: beyond both ends nothing changes any more, or nothing is learned."""
REACTIVATED_RIDGE = 10.0
"""Of FC2, so strong that its rows are near the classes' mean re-activated features: what sets a class apart in all of
its extent, which maps shall show, and not the least that suffices to tell it."""
FOLDS = 5
_STEPS, _HISTORY = 200, 20
_LEAST_DEVIATION = 0.1
"""Of a channel, as a share of its mean."""
_SMALLEST = 1e-6
_CHUNK = 1 << 14


@dataclass(frozen=True)
class Views:
    """Pooled features of photographs.

    Attributes:
        features: float32 (N, V, C): photograph, view, channel.
        targets: float32 (N, K) multi-hot.
    """

    features: np.ndarray
    targets: np.ndarray

    @property
    def exclusive(self) -> bool:
        """Whether every photograph shows exactly one of at least two classes, so that a softmax says more than BCE."""
        return self.targets.shape[1] > 1 and bool((self.targets.sum(axis=1) == 1).all())

    def part(self, rows: np.ndarray) -> Views:
        """Return the photographs `rows` (indices or a mask)."""
        return Views(self.features[rows], self.targets[rows])


@dataclass(frozen=True)
class RidgeChoice:
    """What cross-validation says of the probe.

    Attributes:
        ridge: the weight of the ridge term with the lowest loss on photographs that were left out.
        losses: that loss by ridge.
        scores: float32 (N, K), with the chosen ridge: each photograph's logits by rows fitted without it.
    """

    ridge: float
    losses: dict[float, float]
    scores: np.ndarray


def fit_rows(views: Views, ridge: float, *, exclusive: bool | None = None) -> Tensor:
    """Fit FC1.

    Args:
        views: features and labels.
        ridge: weight of |W|²/2 on features divided by their deviation.
        exclusive: cross-entropy if so, else binary cross-entropy; None: as the labels of `views` are.

    Returns:
        float32 (K, C); zeros without photographs.

    Raises:
        TrainingError: the features, or the rows fitted to them, are not finite.
    """
    flat = views.features.reshape(-1, views.features.shape[2])
    targets = np.repeat(views.targets, views.features.shape[1], axis=0)
    weights = np.full(len(flat), 1 / max(1, len(flat)), dtype=np.float32)
    return _fitted(flat, targets, weights, ridge, exclusive=views.exclusive if exclusive is None else exclusive)


def fit_reactivated(features: np.ndarray, classes: np.ndarray, weights: np.ndarray, count: int, ridge: float) -> Tensor:
    """Fit FC2 to re-activated features.

    Args:
        features: float32 (P, C), one row per view and present class.
        classes: int64 (P,).
        weights: float32 (P,), summing to 1.
        count: K.
        ridge: as of `fit_rows`.

    Returns:
        float32 (K, C), for features as they come: the mean length is folded back; zeros without features.

    Raises:
        TrainingError: the features are not finite.
    """
    if len(features) == 0:
        return torch.zeros(count, features.shape[1])
    length = np.maximum(np.linalg.norm(features, axis=1, keepdims=True), _SMALLEST)
    hot = np.eye(count, dtype=np.float32)[classes]
    return _fitted(features / length, hot, weights, ridge, exclusive=True) / float(length.mean())


def choose_ridge(views: Views, folds: np.ndarray, ridges: Sequence[float] = RIDGES) -> RidgeChoice:
    """Choose the ridge by cross-validation over photographs.

    Args:
        views: features and labels.
        folds: int (N,), the fold that each photograph is left out in; as of `fold_of`.
        ridges: to choose from; of equal losses the largest.
    """
    losses: dict[float, float] = {}
    best, least = np.zeros(views.targets.shape, dtype=np.float32), np.inf
    for ridge in sorted(ridges, reverse=True):
        scores = np.zeros(views.targets.shape, dtype=np.float32)
        for fold in np.unique(folds):
            out = folds == fold
            # Of the loss of all photographs, even where those left are exclusive: its logits mean something else.
            rows = fit_rows(views.part(~out), ridge, exclusive=views.exclusive).numpy()
            scores[out] = views.features[out].mean(axis=1) @ rows.T
        losses[ridge] = held_out_loss(scores, views.targets, exclusive=views.exclusive)
        if losses[ridge] < least:
            best, least = scores, losses[ridge]
    return RidgeChoice(min(losses, key=lambda r: (losses[r], -r)), losses, best)


def held_out_loss(scores: np.ndarray, targets: np.ndarray, *, exclusive: bool) -> float:
    """Return the mean loss of logits (N, K): cross-entropy, or binary cross-entropy over all classes."""
    logits, wanted = torch.from_numpy(scores), torch.from_numpy(targets)
    if exclusive:
        return float(F.cross_entropy(logits, wanted.argmax(dim=1)))
    return float(F.binary_cross_entropy_with_logits(logits, wanted))


def fold_of(targets: np.ndarray, groups: np.ndarray, folds: int = FOLDS) -> np.ndarray:
    """Deal photographs into folds, so that each class is spread evenly and groups of copies stay together.

    Args:
        targets: float32 (N, K) multi-hot.
        groups: int (N,), the same number for photographs to keep together.
        folds: how many; fewer where there are fewer groups.

    Returns:
        int64 (N,) in [0, folds). Where there is one group alone all are 0.
    """
    names, group_of = np.unique(groups, return_inverse=True)
    folds = min(folds, len(names))
    held = np.zeros((len(names), targets.shape[1] + 1))
    np.add.at(held, group_of, np.concatenate([targets, targets.sum(axis=1, keepdims=True) == 0], axis=1))
    total = np.maximum(held.sum(axis=0), 1)
    load = np.zeros((folds, held.shape[1]))
    chosen = np.zeros(len(names), dtype=np.int64)
    # The rarest classes first; each group goes where its own classes are fewest so far.
    for g in sorted(range(len(names)), key=lambda g: (min(total[held[g] > 0], default=0), g)):
        chosen[g] = min(range(folds), key=lambda fold: ((load[fold] * held[g] / total).sum(), load[fold].sum(), fold))
        load[chosen[g]] += held[g]
    return chosen[group_of]


def _fitted(features: np.ndarray, targets: np.ndarray, weights: np.ndarray, ridge: float, *, exclusive: bool) -> Tensor:
    if len(features) == 0:
        return torch.zeros(targets.shape[1], features.shape[1])
    if not np.isfinite(features).all():
        raise TrainingError("Probe: the features are not finite", remedy="Compute with --precision fp32")
    deviation = torch.from_numpy(_deviation(features))
    rows = torch.zeros(targets.shape[1], features.shape[1], requires_grad=True)
    solver = torch.optim.LBFGS(
        [rows],
        max_iter=_STEPS,
        history_size=_HISTORY,
        line_search_fn="strong_wolfe",
        tolerance_grad=1e-6,
        tolerance_change=1e-9,
    )

    def closure() -> Tensor:
        solver.zero_grad()
        scaled = rows / deviation
        total = torch.zeros(())
        for start in range(0, len(features), _CHUNK):  # so that memory does not grow with the set
            part = slice(start, start + _CHUNK)
            loss = _loss(scaled, features[part], targets[part], weights[part], exclusive=exclusive)
            loss.backward(retain_graph=True)  # type: ignore[no-untyped-call]
            total += loss.detach()
        penalty = ridge / 2 * rows.square().sum()
        penalty.backward()  # type: ignore[no-untyped-call]
        return total + penalty.detach()

    loss = solver.step(closure)  # type: ignore[no-untyped-call]
    if not (torch.isfinite(torch.as_tensor(loss)) and torch.isfinite(rows).all()):
        raise TrainingError("Probe: its rows are not finite", remedy="Compute with --precision fp32")
    return (rows.detach() / deviation).contiguous()


def _deviation(features: np.ndarray) -> np.ndarray:
    """Return by what each channel of (N, C) features is divided, float32 (C,), above 0."""
    mean, deviation = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64)
    least = np.maximum(_LEAST_DEVIATION * np.abs(mean), _SMALLEST)
    return np.asarray(np.maximum(deviation, least), dtype=np.float32)


def _loss(rows: Tensor, features: np.ndarray, targets: np.ndarray, weights: np.ndarray, *, exclusive: bool) -> Tensor:
    logits = torch.from_numpy(np.ascontiguousarray(features)) @ rows.t()
    wanted, weigh = torch.from_numpy(targets), torch.from_numpy(weights)
    if exclusive:
        return (F.cross_entropy(logits, wanted.argmax(dim=1), reduction="none") * weigh).sum()
    each = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none").mean(dim=1)
    return (each * weigh).sum()
