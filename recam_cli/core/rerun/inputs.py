"""Whether what a stage started from, data and weights, is still what the manifest recorded by hash."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from recam_cli.core.data.registry import open_dataset
from recam_cli.core.errors import RecamError
from recam_cli.core.models.boundary_files import boundary_digest
from recam_cli.core.models.segmenter_start import CLASSIFIER, WEIGHTS
from recam_cli.core.models.weights import find_weights
from recam_cli.core.rerun.steps import Step
from recam_cli.core.runs.files import sha256_of


def changes_of(step: Step, hashes: dict[Any, str]) -> Iterator[str]:
    """Yield in words what is missing or differs from what `step` was made of; other stages' files do not count.

    Args:
        step: one stage to repeat.
        hashes: of the splits that were read for other steps; this step's is added.
    """
    settings, inputs = step.resolved.settings, step.entry.inputs
    if "data" in inputs:
        where = getattr(settings, "data", settings)
        place = f"the data of {step.stage} ({where.dataset}, {where.data_root or 'default folder'}, {settings.split})"
        yield from _change(place, inputs["data"], lambda: _hash_of_split(where, settings.split, hashes))
    if step.kind == "train-seg" and settings.labels == "truth":
        place = f"the true masks of {step.stage}"
        yield from _change(place, inputs.get("masks"), lambda: open_dataset(where, settings.split).mask_fingerprint())
    source = {"train-cls": "weights", "train-seg": "init"}.get(step.kind)
    start = getattr(settings, source) if source else None
    if start is not None and start not in (CLASSIFIER, WEIGHTS):
        place = f"the weights {start} of {step.stage}"
        yield from _change(place, inputs.get("weights"), lambda: find_weights(settings.backbone, start).identity)
    if step.kind == "make-masks":
        yield from _given_networks(step)


def _hash_of_split(where: Any, split: str, hashes: dict[Any, str]) -> str:
    key = where.dataset, where.data_root, where.labels, where.max_pixels, split
    if key not in hashes:
        hashes[key] = open_dataset(where, split).fingerprint()
    return hashes[key]


def _given_networks(step: Step) -> Iterator[str]:
    """Yield what is wrong with networks that were given, not trained by the run."""
    settings, walk = step.resolved.settings, step.walk
    for kind, digest in (("irn", boundary_digest), ("psa", sha256_of)):
        path = getattr(settings, f"{kind}_weights")
        if path is not None and walk is not None and kind in walk.inputs:
            yield from _change(f"{path} of {step.stage}", walk.inputs[kind], lambda d=digest, p=path: d(p))  # type: ignore[misc]


def _change(place: str, then: str | None, now: Callable[[], str]) -> Iterator[str]:
    try:
        found = now()
    except (RecamError, OSError) as error:
        yield f"{place} cannot be read: {error.message if isinstance(error, RecamError) else error.strerror}"
        return
    if then is not None and found != then:
        yield f"{place} changed since, {then[:12]} → {found[:12]}"
