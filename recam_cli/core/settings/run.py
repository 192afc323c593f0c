"""Settings of `recam run`, and what each of its stages is given of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from recam_cli.core.memory import check_size
from recam_cli.core.settings.backbone_names import OR_TIMM, check_backbone
from recam_cli.core.settings.check_data import CheckDataSettings
from recam_cli.core.settings.declare import setting, settings_of
from recam_cli.core.settings.groups import DATA, HARDWARE, MEMORY_HELP, MODEL, SCHEDULE, DatasetName
from recam_cli.core.settings.make_masks import MakeMasksSettings
from recam_cli.core.settings.make_seeds import MakeSeedsSettings
from recam_cli.core.settings.presets import preset_values
from recam_cli.core.settings.report import ReportSettings
from recam_cli.core.settings.resolve import Resolved, resolve, with_absolute_paths
from recam_cli.core.settings.train_cls import TrainClsSettings
from recam_cli.core.settings.train_seg import TrainSegSettings

RUN_STAGES: Mapping[str, type[Any]] = {
    "check-data": CheckDataSettings,
    "train-cls": TrainClsSettings,
    "make-seeds": MakeSeedsSettings,
    "make-masks": MakeMasksSettings,
    "train-seg": TrainSegSettings,
    "report": ReportSettings,
}
"""What `recam run` does in turn, and the settings of each."""
Until = Literal["check-data", "train-cls", "make-seeds", "make-masks", "train-seg", "report"]
_FROM_TRAIN_CLS = ("split", "max_pixels", "seed")
_NOT_OF_TRAIN_SEG = ("backbone", "labels")
"""The first it takes from the classifier; the second has another meaning there, and is `label_file`."""


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """From photographs to masks, a segmenter and a report; what is not given here, each stage's settings say."""

    dataset: DatasetName | None = setting(
        None, "The kind of data set; without it, it is recognised from what the folder holds.", panel=DATA
    )
    data_root: Path | None = setting(None, "Its folder, as PHOTOS.", panel=DATA)
    labels: Path | None = setting(None, "Image-level labels, CSV (image,labels) or JSON.", panel=DATA)
    until: Until = setting("report", "Stop after this stage; the same command without it goes on.", panel=SCHEDULE)
    backbone: str | None = setting(
        None, f"Network of the classifier, and of the segmenter: {OR_TIMM}.", panel=MODEL, check=check_backbone
    )
    weights: str | None = setting(None, "What it starts from: imagenet, none, or a safetensors file.", panel=MODEL)
    seed: int | None = setting(
        None, "Every random choice follows from it.", panel=SCHEDULE, minimum=0, maximum=2**31 - 1
    )
    device: str | None = setting(None, "auto, cpu, cuda, cuda:<i> or mps.", panel=HARDWARE)
    precision: Literal["auto", "fp32", "bf16"] | None = setting(
        None, "auto takes bf16 where the hardware multiplies it fast, else fp32.", panel=HARDWARE
    )
    workers: int | None = setting(
        None, "Processes that read photographs or refine masks.", panel=HARDWARE, minimum=0, maximum=256
    )
    memory: str | None = setting(None, MEMORY_HELP, panel=HARDWARE, check=check_size)


def stages_until(until: str) -> tuple[str, ...]:
    """Return the stages up to `until`, in order."""
    names = tuple(RUN_STAGES)
    return names[: names.index(until) + 1]


def resolve_stages(
    given: Mapping[str, Any],
    *,
    dataset: str,
    splits: Collection[str] = (),
    labelled: str = "",
    preset: str = "auto",
    config: Mapping[str, Mapping[str, Any]] | None = None,
    changes: Mapping[str, Mapping[str, Any]] | None = None,
    config_name: str = "config file",
) -> dict[str, Resolved[Any]]:
    """Return the settings of every stage.

    Args:
        given: values for all stages that have such a setting; None means "not given".
        dataset: the kind of data set, which chooses the preset "auto".
        splits: those there are: one that only the preset asks for is not asked for where it is missing.
        labelled: the split of all labelled photographs, for which masks are made, where train-cls trains on "train";
            "": those of the split that it trains on.
        preset: a recipe's name.
        config: tables of a config file by stage.
        changes: values by stage that win over all else.
        config_name: how messages name the config file.

    Raises:
        UsageError: an unknown key, or a value of wrong type or range.
    """
    found: dict[str, Resolved[Any]] = {}
    run: dict[str, Any] = {}
    for stage, cls in RUN_STAGES.items():
        known = settings_of(cls)
        flags = {k: v for k, v in given.items() if k in known and not (stage == "train-seg" and k in _NOT_OF_TRAIN_SEG)}
        if "label_file" in known:
            flags["label_file"] = given.get("labels")
        if stage in ("make-seeds", "make-masks", "report") and labelled and run["split"] == "train":
            run["split"] = labelled
        elif stage == "train-seg":
            run["split"] = found["train-cls"].settings.split
        recipe = {k: v for k, v in preset_values(preset, dataset, stage).items() if k not in run}
        if splits and recipe.get("split", next(iter(splits))) not in splits:
            del recipe["split"]
        resolved = resolve(
            cls,
            flags=flags | {"dataset": dataset, **(changes or {}).get(stage, {})},
            config=(config or {}).get(stage, {}),
            preset=recipe,
            run={k: v for k, v in run.items() if k in known},
            config_name=f"{config_name}: [{stage}]",
        )
        found[stage] = with_absolute_paths(resolved)
        if stage == "train-cls":
            run = {name: getattr(resolved.settings, name) for name in _FROM_TRAIN_CLS}
    return found
