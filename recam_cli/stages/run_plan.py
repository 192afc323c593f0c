"""What `recam run` is to do in a run directory, and what of it was done with the same settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recam_cli.core.runs.items import differences
from recam_cli.core.runs.manifest import MANIFEST_NAME, Manifest, StageEntry
from recam_cli.core.runs.plan import RunPlan
from recam_cli.core.runs.run import result_settings
from recam_cli.core.runs.stage_facts import STAGE_ORDER
from recam_cli.core.settings.resolve import Resolved
from recam_cli.core.settings.train_cls import TrainClsSettings
from recam_cli.core.settings.train_seg import TrainSegSettings

_ITEMS = (".png", ".npz")
"""Suffixes of what stages write one of per photograph."""


@dataclass(frozen=True)
class Whole:
    """What is to be done.

    Attributes:
        path: the run directory.
        stages: settings of all stages.
        names: those to do, in order.
        preset: the recipe that later commands of the run take over.
        why: what the data set was recognised by, in words; "" where it was named.
    """

    path: Path
    stages: Mapping[str, Resolved[Any]]
    names: tuple[str, ...]
    preset: str = "auto"
    why: str = ""

    @property
    def training(self) -> TrainClsSettings:
        """The settings of train-cls, which name the data set."""
        settings: TrainClsSettings = self.stages["train-cls"].settings
        return settings

    @property
    def segmenting(self) -> TrainSegSettings:
        """The settings of train-seg."""
        settings: TrainSegSettings = self.stages["train-seg"].settings
        return settings


def is_begun(whole: Whole) -> bool:
    """Return whether `run` began this run, with the same settings as far as it got.

    Raises:
        RunError: its plan or its manifest is damaged.
    """
    plan = RunPlan.load(whole.path)
    return plan is not None and differing(whole, plan) is None


def matter(whole: Whole) -> dict[str, dict[str, Any]]:
    """Return by stage the settings that its files depend on, apart from where the data lie."""
    return {
        name: {
            key: value for key, value in result_settings(whole.stages[name].settings, {}).items() if key != "label_file"
        }
        for name in STAGE_ORDER
    }


def differing(whole: Whole, plan: RunPlan) -> tuple[str, str] | None:
    """Return the first stage that was done with other settings than are wanted now, and which; None if none was."""
    wanted = matter(whole)
    for name in STAGE_ORDER:
        if name in plan.settings and (name in plan.results or is_done(whole.path, name)):
            differ = differences(plan.settings[name], wanted[name])
            if differ is not None:
                return name, differ
    return None


def entries(path: Path) -> dict[str, StageEntry]:
    """Return what the manifest of a run says by stage; nothing where there is none."""
    return Manifest.load(path).stages if (path / MANIFEST_NAME).is_file() else {}


def is_done(path: Path, name: str) -> bool:
    """Return whether the manifest of a run says that a stage has finished."""
    found = entries(path).get(name)
    return found is not None and found.state == "done"


def is_there(path: Path, count: int) -> bool:
    """Return whether a stage's file is there, or its folder with as many items at least."""
    return path.is_file() or (path.is_dir() and sum(p.suffix in _ITEMS for p in path.iterdir()) >= count)
