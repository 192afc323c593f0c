"""What to say of classes that a classifier has not learned, or has too few photographs of: words only, no numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recam_cli.core.data.problems import some

LEARNED = "learned"
"""Metric of train-cls: by class, `metrics.learned.Learned` as a dictionary."""


def unlearned_lines(learned: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return a line on classes at chance, and one on those with too few photographs to say; none where all is well.

    Args:
        learned: by class, as the metric `LEARNED`.
    """
    chance = [
        f"{name} (AP {one['ap']:.0f} % of {one['photographs']} photographs, chance reaches {one['chance']:.0f} %)"
        for name, one in learned.items()
        if one["verdict"] == "not learned"
    ]
    lines = []
    if chance:
        who = "every class" if len(chance) == len(learned) else f"{len(chance)} of {len(learned)} classes"
        lines.append(
            f"not learned: {who}: {some(chance)}. Masks of these are guesses: check the labels, add photographs, or "
            "photographs without the class"
        )
    few = [f"{name} ({one['photographs']})" for name, one in learned.items() if one["verdict"] == "too few"]
    if few:
        lines.append(f"too few photographs, with or without them, to say whether they are learned: {some(few)}")
    return lines
