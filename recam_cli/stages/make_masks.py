"""make-masks: cut each seed at the threshold, refine it on its photograph, write the pseudo mask."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from recam_cli.core.cams.store import read_seed_of
from recam_cli.core.data.registry import open_dataset
from recam_cli.core.data.samples import ImageSet, Sample
from recam_cli.core.errors import DataError, RunError, UsageError
from recam_cli.core.masks import confidence_index
from recam_cli.core.masks.confidence import FOLDER as CONFIDENCE
from recam_cli.core.masks.crf import check_backend, resolve_backend
from recam_cli.core.masks.job import MaskJob, MaskTally, Summary, refinement_of
from recam_cli.core.masks.pool import run_over
from recam_cli.core.reporter import Reporter
from recam_cli.core.runs.classes import require_classes
from recam_cli.core.runs.files import write_text
from recam_cli.core.runs.items import ItemFolder, differences
from recam_cli.core.runs.manifest import StageEntry
from recam_cli.core.runs.run import Run, result_settings, stage_fingerprint
from recam_cli.core.runs.sums import sums_hash
from recam_cli.core.runs.variants import command, require_variant, resolve_method, variant_suffix
from recam_cli.core.runs.verify import check_items
from recam_cli.core.settings.declare import part_of, settings_of
from recam_cli.core.settings.irn import walk_kind
from recam_cli.core.settings.make_masks import CutSettings, MakeMasksSettings, MasksSettings, PsaMasksSettings
from recam_cli.core.settings.resolve import Resolved
from recam_cli.stages.mask_work import (
    AUTO,
    InstancesResult,
    MaskWork,
    Threshold,
    crf_device,
    parse_threshold,
)

STAGE = "make-masks"
_RECORDED: dict[str | None, Any] = {"irn": MasksSettings, "psa": PsaMasksSettings}


@dataclass(frozen=True)
class MakeMasksResult:
    """What was made.

    Attributes:
        folder: where the masks lie.
        images: number of images of the split, each with a mask now.
        made: masks made by this call.
        kept: masks of the same settings that were there before.
        threshold: the background's score.
        threshold_chosen: "given" or "label-free".
        how: how it was chosen, in words.
        background: share of background among all pixels of the masks.
        undecided: share of undecided pixels (255) among them.
        lost_classes: labelled classes, counted per image, of which the image's mask has no pixel.
        confidence: mean confidence of all pixels, see `core.masks.confidence`; None without any.
        object_confidence: of the pixels of classes.
        moved: where masks of other settings were moved, if so.
        instances: the instance maps, if asked for.
    """

    folder: Path
    images: int
    made: int
    kept: int
    threshold: float
    threshold_chosen: str
    how: str
    background: float
    undecided: float
    lost_classes: int
    confidence: float | None
    object_confidence: float | None
    moved: Path | None = None
    instances: InstancesResult | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it JSON-ready; "instances" only where they were asked for."""
        values = asdict(self) | {"folder": str(self.folder), "moved": str(self.moved) if self.moved else None}
        del values["instances"]
        return values | ({"instances": self.instances.as_dict()} if self.instances else {})


def run(resolved: Resolved[MakeMasksSettings], run: Run, reporter: Reporter) -> MakeMasksResult:
    """Make the pseudo masks of a split from its seeds.

    Masks that are there already, made with the same settings from the same seeds, are kept.

    Raises:
        UsageError: the threshold is neither "auto" nor in [0, 1], the dense CRF is not installed, or instance maps are
            asked of another refinement than IRN.
        RunError: the seeds are missing, or the folder holds masks of other settings.
        DataError: the data set, an image or a seed cannot be used.
    """
    given = parse_threshold(resolved.settings.threshold)
    work = _prepare(resolved, run, reporter, given)
    settings, seeds, inputs = work.settings, work.seeds, work.inputs
    walks = walk_kind(settings.refine)
    spread = None
    _refuse_others(work)
    threshold = _choose(given, work) if walks or given is not None else None
    if walks and threshold is not None:
        from recam_cli.stages import spreading

        spread = spreading.spread(work, walks, threshold.value)
        seeds, inputs = spread.folder, spread.inputs
    recorded = _recorded(settings)
    matters = _cut_settings(settings)
    name = STAGE + work.suffix
    folder = ItemFolder.open(
        run.path / f"masks{work.suffix}",
        stage_fingerprint(name, matters, inputs),
        result_settings(matters, inputs),
        settings.overwrite,
        "masks",
        suffix=".png",
        beside=run.path / f"{CONFIDENCE}{work.suffix}",
    )
    with run.stage(name, Resolved(recorded, resolved.sources), inputs=inputs, device=work.crf_device) as entry:
        moved = folder.begin(reporter)
        if threshold is None:
            threshold = _choose(given, work)
        entry.notes |= threshold.notes()
        if spread is not None:
            cut = spread.cut
            entry.notes |= {"walk_threshold": cut.value, "walk_threshold_chosen": cut.chosen, "walk_how": cut.how}
        cut_at = threshold.value if spread is None else spread.threshold
        summary = _make_all(_job(work, seeds, cut_at), work, folder, entry)
    result = _result(folder, len(work.images), summary, threshold, moved)
    if spread is None or not settings.instances:
        return result
    from recam_cli.stages import irn

    return replace(result, instances=irn.tell_apart(work, spread.guide, folder.path))


def _prepare(resolved: Resolved[MakeMasksSettings], run: Run, reporter: Reporter, given: float | None) -> MaskWork:
    """Check all that can be checked before work begins; errors as `run`."""
    suffix = variant_suffix(run, resolved.settings.method)
    settings = _normalised(resolved.settings, run, given)
    if settings.refine != "none":  # without a refiner nothing here needs torch
        from recam_cli.core.hardware import prepare_process

        prepare_process(deterministic=settings.deterministic)
    if settings.instances and walk_kind(settings.refine) != "irn":
        raise UsageError(
            f"--instances needs the random walk of IRN, but --refine is {settings.refine}",
            remedy="Add --refine irn or --refine irn+crf, or leave --instances out",
        )
    if settings.refine != "none":
        check_backend(settings.crf, crf_device(settings))
    if (walks := walk_kind(settings.refine)) is not None:
        from recam_cli.stages import spreading

        spreading.check(settings, walks)
    made = require_variant(run, "make-seeds", suffix)
    inputs = {"make-seeds" + suffix: made.fingerprint}
    images = open_dataset(settings, settings.split)
    require_classes(run, "train-cls", images.classes, images.root)
    _require_same_images(images, made, command(run, "make-seeds", suffix, overwrite=True))
    seeds = run.path / f"seeds{suffix}"
    _require_seeds(images, seeds, command(run, "make-seeds", suffix))
    inputs["seeds"] = _content_of_seeds(run, suffix, images, seeds)
    return MaskWork(Resolved(settings, resolved.sources), run, reporter, images, suffix, seeds, inputs)


def _normalised(settings: MakeMasksSettings, run: Run, given: float | None) -> MakeMasksSettings:
    """Spell equal wishes equally, so that a repeated command finds its own masks."""
    walks = walk_kind(settings.refine)
    return replace(
        settings,
        method=resolve_method(run, settings.method),
        threshold=AUTO if given is None else str(given),
        crf=resolve_backend(settings.crf),
        walk_beta=settings.walk_beta if walks is None else settings.beta_of(walks),
        walk_floor=_spelled(settings.walk_floor, "--walk-floor"),
        walk_threshold=_spelled(settings.walk_threshold, "--walk-threshold"),
    )


def _spelled(text: str, option: str) -> str:
    value = parse_threshold(text, option)
    return AUTO if value is None else str(value)


def _recorded(settings: MakeMasksSettings) -> Any:
    """Return what the manifest keeps: all that masks of this refinement depend on, their parts included."""
    return part_of(_RECORDED.get(walk_kind(settings.refine), CutSettings), settings)


def _cut_settings(settings: MakeMasksSettings) -> CutSettings:
    """Return what masks depend on apart from seeds; without the dense CRF none of its settings."""
    known = settings_of(CutSettings)
    unused: dict[str, Any] = {name: known[name].default for name in (*_unused(settings), "crf")}
    cut = part_of(CutSettings, settings)
    return cut if settings.refine.endswith("crf") else replace(cut, **unused)


def _unused(settings: MakeMasksSettings) -> set[str]:
    """Return the settings of the dense CRF of masks, where there is none."""
    if settings.refine.endswith("crf"):
        return set()
    return {name for name in settings_of(CutSettings) if name.startswith("crf_") or name == "unary"}


def _refuse_others(work: MaskWork) -> None:
    """Refuse early what must be refused, before the parts take their time and replace what the masks were made from.

    Raises:
        RunError: masks are there that were made by other settings or from other seeds, without --overwrite.
    """
    there, entry = work.run.path / f"masks{work.suffix}", work.run.entry(STAGE + work.suffix)
    walks = walk_kind(work.settings.refine) is not None
    if not walks or work.settings.overwrite or entry is None or not any(there.glob("*.png")):
        return
    wanted = result_settings(_recorded(work.settings), work.inputs)
    wanted = {key: value for key, value in wanted.items() if key not in _unused(work.settings)}
    known = {**entry.settings, **{stage: entry.inputs.get(stage) for stage in work.inputs}}
    found = {key: value for key, value in known.items() if key in wanted}
    differ = differences(found, wanted)
    if differ is not None:
        raise RunError(
            f"{there} holds masks made with other settings: {differ}",
            remedy="Go on with those, or add --overwrite, which keeps the old masks aside",
        )


def _require_same_images(images: ImageSet, seeds: StageEntry, remedy: str) -> None:
    """Check that neither photographs nor labels have changed since the seeds of this split were made.

    Raises:
        RunError: they have.
    """
    noted = seeds.inputs.get("data")
    if noted is not None and seeds.settings.get("split") == images.split and noted != images.fingerprint():
        raise RunError(
            f"{images.root}: photographs or labels have changed since the seeds were made",
            remedy=f"Restore them, or make the seeds anew: {remedy}",
        )


def _require_seeds(images: ImageSet, seeds: Path, remedy: str) -> None:
    for sample in images:
        if not (seeds / f"{sample.id}.npz").is_file():
            raise RunError(f"{seeds}: no seed of image {sample.id} of split {images.split}", remedy=f"Run: {remedy}")


def _content_of_seeds(run: Run, suffix: str, images: ImageSet, seeds: Path) -> str:
    """Return a hash of the seeds, after checking that those of `images` are what make-seeds wrote.

    Raises:
        RunError: one has changed since.
        DataError: the run notes no hashes of them, and one is damaged, or of other labels.
    """
    stage, content = "make-seeds" + suffix, sums_hash(sorted(seeds.glob("*.npz")))
    noted = run.require(stage).outputs.get("seeds")
    if noted is None:
        for sample in images:
            read_seed_of(sample, seeds)
    elif noted.sha256 != content:
        files = [seeds / f"{sample.id}.npz" for sample in images]
        remedy = f"Restore it, or make it anew: {command(run, 'make-seeds', suffix)}"
        check_items(run, stage, "seeds", files, remedy=remedy)
    return content


def _choose(given: float | None, work: MaskWork) -> Threshold:
    if given is not None:
        return Threshold(given, "given", "given as --threshold")
    if work.settings.refine != "none":
        chosen = _most_stable(work)
        work.reporter.info(f"Threshold {chosen.value:.3f}: {chosen.how}")
        return chosen
    from recam_cli.core.masks.threshold import choose_threshold

    with work.reporter.track("Choosing the threshold", len(work.images)) as progress:
        choice = choose_threshold(work.seeds_in(work.seeds, progress))
    work.reporter.info(f"Threshold {choice.value:.3f}: {choice.how}")
    return Threshold(float(choice.value), "label-free", choice.how)


def _most_stable(work: MaskWork) -> Threshold:
    """Return the threshold at which refined masks change least.

    Raises:
        DataError: no image of the split has a label, or one cannot be read.
    """
    from recam_cli.core.masks.stability import most_stable, spread_sample
    from recam_cli.core.masks.stability_job import StabilityJob

    labelled = [sample for sample in work.images if sample.labels]
    if not labelled:
        raise DataError(
            "no threshold can be chosen: no image of the split has a labelled class",
            remedy="Give labels, or a --threshold",
        )
    sample = [labelled[place] for place in spread_sample(len(labelled))]
    ious: dict[str, Any] = {}
    with work.reporter.track("Choosing the threshold", len(sample)) as progress:

        def take(one: Sample, found: Any) -> None:
            ious[one.id] = found
            progress.advance(1)

        job = StabilityJob(work.seeds, work.settings.max_pixels)
        run_over(job, sample, take, workers=work.affordable(len(sample)), name_of=lambda s: s.id)
    stable = most_stable([ious[one.id] for one in sample])
    if stable.at_limit:
        work.reporter.warn(
            f"the threshold {stable.threshold:g} lies at the end of what was tried: the seeds may cover all of the "
            "photographs, or hardly anything; look at some with: recam visualize"
        )
    how = f"where masks of {len(sample)} images change least with it ({stable.value:.2f}), without ground truth"
    return Threshold(stable.threshold, "label-free", how)


def _job(work: MaskWork, seeds: Path, threshold: float) -> MaskJob:
    settings, path = work.settings, work.run.path
    return MaskJob(
        seeds=seeds,
        masks=path / f"masks{work.suffix}",
        confidences=path / f"{CONFIDENCE}{work.suffix}",
        threshold=threshold,
        how=refinement_of(settings, work.crf_device),
        crf=settings.refine.endswith("crf"),
        ignore_below=settings.ignore_below,
        max_pixels=settings.max_pixels,
        work_side=settings.work_side,
    )


def _make_all(job: MaskJob, work: MaskWork, folder: ItemFolder, entry: StageEntry) -> Summary:
    """Make the masks that are missing, write the index of all and record them."""
    if job.crf:
        entry.notes |= {"crf": f"{work.settings.crf} on {work.crf_device}"}
    if work.settings.deterministic:
        entry.notes |= {"deterministic": True}
    summary = _refine_all(job, work, folder)
    if job.ignore_below > 0 and summary.background == 0:
        work.reporter.warn("the masks hold no background at all to train on; choose a lower --ignore-below")
    index = job.confidences / confidence_index.NAME
    write_text(index, confidence_index.index_csv(summary.tallies))
    entry.metrics |= summary.as_dict()
    entry.outputs["masks"] = work.run.output_of_folder(job.masks, "*.png")
    entry.outputs[CONFIDENCE] = work.run.output_of_folder(job.confidences, "*.png")
    entry.outputs[index.name] = work.run.output_of_file(index)
    return summary


def _refine_all(job: MaskJob, work: MaskWork, folder: ItemFolder) -> Summary:
    summary = Summary()

    def receive(sample: Sample, tally: MaskTally, made: bool) -> dict[str, float]:
        (summary.make if made else summary.keep)(sample.id, tally)
        return {"background": summary.background}

    work.over_images(job, folder, "Refining masks" if job.crf else "Cutting masks", receive, crf=job.crf)
    return summary


def _result(
    folder: ItemFolder, images: int, summary: Summary, threshold: Threshold, moved: Path | None
) -> MakeMasksResult:
    return MakeMasksResult(
        folder=folder.path,
        images=images,
        made=summary.made,
        kept=summary.kept,
        threshold=threshold.value,
        threshold_chosen=threshold.chosen,
        how=threshold.how,
        background=summary.background,
        undecided=summary.undecided,
        lost_classes=summary.lost_classes,
        confidence=summary.confidence,
        object_confidence=summary.object_confidence,
        moved=moved,
    )
