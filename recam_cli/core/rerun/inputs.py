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
from recam_cli.core.runs.stage_facts import MEASURED_NOTE


def changes_of(step: Step, hashes: dict[Any, str]) -> Iterator[str]:
    """Yield in words what is missing or differs from what `step` was made of; other stages' files do not count.

    Args:
        step: one stage to repeat.
        hashes: of the splits that were read for other steps; this step's is added.
    """
    settings, inputs = step.resolved.settings, step.entry.inputs
    where = getattr(settings, "data", settings)
    if "data" in inputs:
        place = f"the data of {step.stage} ({where.dataset}, {where.data_root or 'default folder'}, {settings.split})"
        yield from _change(place, inputs["data"], lambda: _hash_of_split(where, settings.split, hashes))
    if step.kind == "train-seg" and settings.labels == "truth":
        place = f"the true masks of {step.stage}"
        then = inputs.get("masks")
        yield from _change(place, then, lambda: _hash_of_split(where, settings.split, hashes, masks=True))
    source = {"train-cls": "weights", "train-seg": "init"}.get(step.kind)
    start = getattr(settings, source) if source else None
    if start is not None and start not in (CLASSIFIER, WEIGHTS):
        place = f"the weights {start} of {step.stage}"
        yield from _change(place, inputs.get("weights"), lambda: find_weights(settings.backbone, start).identity)
    if step.kind == "make-masks":
        yield from _given_networks(step)
    yield from _measured_on(step, where, hashes)


def _measured_on(step: Step, where: Any, hashes: dict[Any, str]) -> Iterator[str]:
    """Yield what is wrong with a split that only scores or predictions depend on."""
    noted = step.entry.notes.get(MEASURED_NOTE)
    if not isinstance(noted, dict) or not isinstance(split := noted.get("split"), str):
        return
    if isinstance(then := noted.get("data"), str):
        place = f"the held-out images of {step.stage} ({split})"
        yield from _change(place, then, lambda: _hash_of_split(where, split, hashes))
    if isinstance(then := noted.get("masks"), str):
        place = f"the true masks of {step.stage} ({split})"
        yield from _change(place, then, lambda: _hash_of_split(where, split, hashes, masks=True))


def _hash_of_split(where: Any, split: str, hashes: dict[Any, str], *, masks: bool = False) -> str:
    """Return the hash of a split's images and labels, or of its true masks."""
    key = where.dataset, where.data_root, where.labels, where.max_pixels, split, masks
    if key not in hashes:
        images = open_dataset(where, split)
        hashes[key] = images.mask_fingerprint() if masks else images.fingerprint()
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
