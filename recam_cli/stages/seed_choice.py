"""Part of make-seeds: which classifier and which sizes its maps are read with, chosen without ground truth.

Seeds of some photographs are made in each way, and their masks compared at neighbouring thresholds
(`core.masks.stability`): the way whose masks change least is taken. One that is first in line stays unless another is
better by more than a standard error, by drawing the photographs anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from recam_cli.core.cams.families import SAMPLE, other_sides
from recam_cli.core.cams.fusion import class_maps, normalised_maps
from recam_cli.core.cams.store import Seed
from recam_cli.core.data.reading import read_batches
from recam_cli.core.data.samples import ImageSet, Sample
from recam_cli.core.data.sizes import size_at
from recam_cli.core.footprint import Looking
from recam_cli.core.hardware import choose_device, choose_precision, under_autocast
from recam_cli.core.masks.pool import run_over
from recam_cli.core.masks.stability import SIDE, most_stable, spread_sample
from recam_cli.core.masks.stability_job import HeldSeed, compare_held
from recam_cli.core.memory import host_budget, refining_bytes
from recam_cli.core.models.classifier import Classifier
from recam_cli.core.models.classifier_files import run_classifier
from recam_cli.core.reporter import Reporter
from recam_cli.core.runs.run import Run
from recam_cli.core.settings.make_seeds import MakeSeedsSettings
from recam_cli.core.threads import available_cores

_DRAWS = 200

Key = tuple[str, str, tuple[int, ...]]


@dataclass(frozen=True)
class SeedChoice:
    """How seeds are read.

    Attributes:
        method: "cam" or "recam".
        seed_weights: of the maps.
        sides: longer sides in pixels; (0,) where ratios count.
        notes: what it was chosen by, for the manifest; none where nothing was to choose.
    """

    method: str
    seed_weights: str
    sides: tuple[int, ...]
    notes: dict[str, Any] = field(default_factory=dict)

    def in_words(self) -> str:
        """Return it as one says it."""
        return f"{'ReCAM' if self.method == 'recam' else 'CAM'} at {', '.join(map(str, self.sides))} pixels"


@dataclass
class _Trials:
    """What was tried so far, on the same photographs."""

    settings: MakeSeedsSettings
    run: Run
    samples: Sequence[Sample]
    reporter: Reporter
    ious: dict[Key, list[np.ndarray]] = field(default_factory=dict)
    networks: dict[str, Classifier] = field(default_factory=dict)

    def better(self, first: Key, others: Sequence[Key]) -> Key:
        """Return the best of these; `first` unless another is clearly better."""
        best = first
        self._compare(first)
        for other in others:
            self._compare(other)
            if clearly_better(self.ious[other], self.ious[best]):
                best = other
        return best

    def _compare(self, key: Key) -> None:
        if key in self.ious:
            return
        held = self._seeds(key)
        found: dict[str, np.ndarray] = {}
        job = partial(compare_held, max_pixels=self.settings.max_pixels)
        workers = min(available_cores(), len(held), 8) if self.settings.workers else 0  # 0: no further processes
        workers = host_budget(self.settings.memory).workers(workers, refining_bytes(SIDE))
        with self.reporter.track(f"Trying {_told(key)}", len(held)) as progress:

            def take(one: HeldSeed, ious: np.ndarray) -> None:
                found[one.sample.id] = ious
                progress.advance(1)

            run_over(job, held, take, workers=workers, name_of=lambda one: one.sample.id)
        self.ious[key] = [found[sample.id] for sample in self.samples]

    @torch.inference_mode()
    def _seeds(self, key: Key) -> list[HeldSeed]:
        method, kind, sides = key
        device = choose_device(self.settings.device)
        precision = choose_precision(self.settings.precision, device)
        if method not in self.networks:
            self.networks[method] = run_classifier(self.run, method, device)[0]
        network = self.networks[method]

        features = under_autocast(network.backbone, device, precision)
        made: dict[str, HeldSeed] = {}
        together = Looking.by(features, device, self.settings.memory, "make-seeds").pixels()
        read = read_batches(
            self.samples,
            self.settings.batch_size,
            max_pixels=self.settings.max_pixels,
            workers=self.settings.workers,
            longest=max(sides),
        )
        for batch in read:
            work = size_at(*batch.sizes[0], SIDE)
            weight = network.seed_weights(kind)
            maps = class_maps(
                features, weight, batch.images, sides=sides, flip=self.settings.flip, work=work, together=together
            )
            for sample, one in zip(batch.samples, maps, strict=True):
                chosen = normalised_maps(one, sample.labels).cpu().numpy()
                made[sample.id] = HeldSeed(sample, Seed(np.array(sample.labels, np.int64), chosen, work))
        return [made[sample.id] for sample in self.samples]


def choose(
    settings: MakeSeedsSettings,
    run: Run,
    images: ImageSet,
    reporter: Reporter,
    *,
    methods: Sequence[tuple[str, str]],
    given: bool,
) -> SeedChoice:
    """Choose how the seeds of `images` are read.

    Args:
        settings: of make-seeds; its sides are the first in line.
        run: with a finished train-cls.
        images: the split.
        reporter: receives progress and the choice.
        methods: (method, seed weights) to choose from, the first in line first.
        given: whether the sides are the user's, and not to be chosen.

    Raises:
        RunError: a classifier is missing or has changed.
        DataError: a photograph cannot be read.
    """
    labelled = [sample for sample in images if sample.labels]
    first = (*methods[0], settings.sides)
    samples = [labelled[place] for place in spread_sample(len(labelled), SAMPLE)]
    families = [] if given or not labelled else _families(settings, samples)
    if not labelled or (len(methods) == 1 and not families):
        return SeedChoice(*first)
    trials = _Trials(settings, run, samples, reporter)
    best = trials.better(first, [(*methods[0], sides) for sides in families])
    best = trials.better(best, [(*other, best[2]) for other in methods[1:]])
    stable = {_told(key): round(most_stable(ious).value, 4) for key, ious in trials.ious.items()}
    choice = SeedChoice(*best, {"chosen": "label-free", "stability": stable, "photographs": len(samples)})
    reporter.info(
        f"Seeds: {choice.in_words()}, whose masks of {len(samples)} photographs change least with the threshold "
        f"({', '.join(f'{name}: {value:.2f}' for name, value in stable.items())})"
    )
    return choice


def clearly_better(ious: Sequence[np.ndarray], known: Sequence[np.ndarray], seed: int = 0) -> bool:
    """Return whether masks of one way are more stable than those of a known one by more than a standard error.

    Args:
        ious: of each photograph what `stability.neighbour_ious` returns.
        known: of the same photographs in the known way.
        seed: of the draws.
    """
    gain = most_stable(ious).value - most_stable(known).value
    rng = np.random.default_rng((seed, len(ious)))
    draws = [rng.integers(0, len(ious), len(ious)) for _ in range(_DRAWS)]
    gains = [most_stable([ious[i] for i in d]).value - most_stable([known[i] for i in d]).value for d in draws]
    return bool(gain > np.std(gains))


def _families(settings: MakeSeedsSettings, samples: Sequence[Sample]) -> list[tuple[int, ...]]:
    """Return other sides to try than those of the settings: none that only enlarge the photographs."""
    from recam_cli.core.data.images import read_size

    longest = float(np.median([max(read_size(s.image, max_pixels=settings.max_pixels)) for s in samples]))
    return other_sides(settings.sides, longest)


def _told(key: Key) -> str:
    method, kind, sides = key
    named = {"product": "ReCAM", "fc1": "CAM" if method == "cam" else "ReCAM's FC1"}.get(kind, f"ReCAM ({kind})")
    return f"{named} at {sides[0]} to {sides[-1]}"


def with_choice(settings: MakeSeedsSettings, choice: SeedChoice) -> MakeSeedsSettings:
    """Return the settings as chosen."""
    return replace(settings, method=choice.method, seed_weights=choice.seed_weights, sides=choice.sides)  # type: ignore[arg-type]
