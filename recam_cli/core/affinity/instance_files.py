"""Instance maps on disk: per image `<id>.png`, 8-bit palette, and `<id>.json`, which says what its values mean.

The PNG is laid out as VOC's SegmentationObject: 0 background, n the n-th instance of the image. The JSON:

    {"size": [375, 500], "instances": [{"instance": 1, "mask_value": 8, "class": "cat", "score": 0.91, "pixels": 5312}]}

`size` is (H, W), `mask_value` the class in masks/<id>.png. Instances are in descending order of their score in [0, 1].
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from recam_cli.core.affinity.instances import Instances
from recam_cli.core.bounded import read_json, reason_of
from recam_cli.core.data.images import write_mask
from recam_cli.core.errors import DataError
from recam_cli.core.runs.files import write_json


def write_instances(path: Path, found: Instances, classes: Sequence[str]) -> None:
    """Write both files, `path` the PNG; it comes last, so that where it is, the other is too.

    Args:
        path: ends in `.png`.
        found: the instances.
        classes: class names without background.
    """
    pixels = np.bincount(found.map.ravel(), minlength=len(found.classes) + 1)
    listed = [
        {
            "instance": number,
            "mask_value": int(class_id) + 1,
            "class": classes[int(class_id)],
            "score": round(float(score), 4),
            "pixels": int(pixels[number]),
        }
        for number, (class_id, score) in enumerate(zip(found.classes, found.scores, strict=True), start=1)
    ]
    write_json(path.with_suffix(".json"), {"size": list(found.map.shape), "instances": listed})
    write_mask(path, found.map)


def read_listed(path: Path) -> list[dict[str, Any]]:
    """Return the instances listed in the JSON at `path`.

    Raises:
        DataError: missing or damaged.
    """
    try:
        listed = read_json(path)["instances"]
    except FileNotFoundError:
        raise DataError(
            f"{path}: no such file", remedy="Delete its .png and run: recam make-masks --instances"
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path}: not a list of instances: {reason_of(error)}", remedy="Delete it and its .png"
        ) from None
    if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
        raise DataError(f"{path}: not a list of instances", remedy="Delete it and its .png")
    return listed
