"""Stages by name, and what the manifest notes of them under names that others look for."""

from __future__ import annotations

STAGE_ORDER = ("train-cls", "make-seeds", "make-masks", "train-seg")
VARIANTS = {"": (), "-cam": ("--method", "cam"), "-truth": ("--labels", "truth")}
"""What a stage's name can end in, and the options that ask for it."""
PARTS = {
    "make-masks": (
        "confident-labels",
        "psa-labels",
        "train-irn",
        "train-psa",
        "random-walk",
        "draft-masks",
        "train-self",
        "self-training",
        "make-masks",
        "instances",
    )
}
"""Of a command, the stages that it records, in order; of all others the one of its name."""
TRAINED_IN = {"train-cls": "classifier", "train-seg": "segmenter"}
"""Folders of the weights of trainings that can be resumed; their snapshots lie in them."""

SCORABLE_NOTE = "scorable"
"""Note of train-seg: whether the images it predicted have true masks."""
TOGETHER_NOTE = "together"
"""How many photographs of a batch were computed together by phase, or how many pixels: last bits depend on it."""
CHOICE_NOTE = "choice"
"""Note of make-seeds where method or sides were chosen: what by, and what had been asked for."""
ASKED_NOTE = "asked"
"""In it: the settings that were chosen, as they stood before."""
MEASURED_NOTE = "measured on"
"""Note of stages with a split that only their scores or predictions depend on: {"split": its name, "data": the hash of
its images and labels} or, where only true masks are looked at, {"split": its name, "masks": their hash}."""


def command_of_stage(name: str) -> tuple[str, str]:
    """Return the command that records stage `name`, and the end of the name that tells a variant: "", "-cam"…"""
    suffix = next((end for end in VARIANTS if end and name.endswith(end)), "")
    base = name.removesuffix(suffix)
    return next((command for command, parts in PARTS.items() if base in parts), base), suffix
