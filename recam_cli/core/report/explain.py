"""The picture `recam visualize` makes of one photograph: what each stage saw in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from recam_cli.core.data.samples import BACKGROUND, IGNORE
from recam_cli.core.errors import DataError
from recam_cli.core.report.canvas import GUTTER, fitted_size, scaled, stack
from recam_cli.core.report.legend import HEAT_ENTRY, IGNORE_ENTRY, LegendEntry, class_entries, draw_legend
from recam_cli.core.report.overlay import heat_overlay, mask_overlay
from recam_cli.core.report.panels import MAX_ASPECT, Panel, image_row, title_size
from recam_cli.core.report.sheet import heading

PER_ROW = 5
"""Panels after which the picture goes on below."""


def explain_picture(
    image: np.ndarray,
    *,
    maps: Mapping[str, np.ndarray],
    classes: Sequence[str],
    seed: np.ndarray | None = None,
    mask: np.ndarray | None = None,
    prediction: np.ndarray | None = None,
    truth: np.ndarray | None = None,
    scores: Mapping[str, float] | None = None,
    title: str = "",
    height: int = 280,
) -> np.ndarray:
    """Draw a photograph, the heat map of each class, seed, mask, prediction and truth, with a legend.

    Args:
        image: uint8 (H, W, 3), RGB.
        maps: class name → float (h, w) in [0, 1]; scaled to the photograph where smaller.
        classes: all class names without background; value k + 1 of the masks is `classes[k]`.
        seed: uint8 (H, W), the seed's mask.
        mask: uint8 (H, W), the pseudo mask.
        prediction: uint8 (H, W), the segmenter's mask.
        truth: uint8 (H, W), the true mask.
        scores: class name → the classifier's score.
        title: one line above, e.g. the file's name.
        height: pixels of each panel's height.

    Returns:
        uint8 (rows, columns, 3). Masks that are None are left out.

    Raises:
        DataError: a mask's size is not the photograph's.
    """
    masks = {"seed": seed, "mask": mask, "prediction": prediction, "truth": truth}
    given = {name: values for name, values in masks.items() if values is not None}
    for name, values in given.items():
        _check_size(name, values, image)
    size = fitted_size(image.shape, height, round(height * MAX_ASPECT))
    photo = scaled(image, size)  # blended at the size shown, so that outlines stay crisp
    panels = [Panel("photograph", photo)]
    for name, values in maps.items():
        score = (scores or {}).get(name)
        panels.append(Panel(name if score is None else f"{name} {score:.2f}", heat_overlay(photo, values)))
    panels += [Panel(n, mask_overlay(photo, scaled(m, size, labels=True))) for n, m in given.items()]
    body = image_row(panels, height=height, per_row=_per_row(len(panels)))
    parts = [heading(title, body.shape[1], size=title_size(height) + 4)] if title else []
    parts.append(body)
    entries = _entries(maps, given, classes, scores)
    if entries:
        parts.append(draw_legend(entries, body.shape[1], size=title_size(height)))
    return stack(parts, margin=GUTTER)


def _check_size(name: str, mask: np.ndarray, image: np.ndarray) -> None:
    if mask.shape != image.shape[:2]:
        raise DataError(
            f"the {name} has {mask.shape[1]}×{mask.shape[0]} pixels, its image {image.shape[1]}×{image.shape[0]}",
            remedy="Make it again from this image",
        )


def _per_row(count: int) -> int:
    rows = -(-count // PER_ROW)
    return -(-count // rows)  # evenly filled lines rather than a full one and a rest


def _entries(
    maps: Mapping[str, np.ndarray],
    masks: Mapping[str, np.ndarray],
    classes: Sequence[str],
    scores: Mapping[str, float] | None,
) -> list[LegendEntry]:
    values = {int(v) for mask in masks.values() for v in np.unique(mask)}
    shown = {v - 1 for v in values if v not in (BACKGROUND, IGNORE)}
    if masks:
        shown |= {k for k, name in enumerate(classes) if name in maps}
    entries = class_entries(classes, shown, dict(scores or {}))
    if IGNORE in values:
        entries.append(IGNORE_ENTRY)
    return [*entries, HEAT_ENTRY] if maps else entries
