"""Tiny data sets in the layouts of YOLO and COCO."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recam_cli.core.data.images import write_image
from tests.helpers.tiny_data import draw_photo

NAMES = ("bus", "traffic light", "dog")


def make_yolo(root: Path, boxes: Mapping[str, Sequence[int] | None], names: Sequence[str] = NAMES) -> Path:
    """Write photographs, by path below `root` without suffix, and their label files (None: no file) and data.yaml."""
    for number, (place, classes) in enumerate(boxes.items()):
        photo = root / f"{place}.jpg"
        write_image(photo, draw_photo(sorted(set(classes or ())), seed=number)[0])
        labels = root / f"{place.replace('images', 'labels', 1)}.txt"
        labels.parent.mkdir(parents=True, exist_ok=True)
        if classes is not None:
            labels.write_text("".join(f"{k} 0.5 0.5 0.2 0.2\n" for k in classes), encoding="utf-8")
    (root / "data.yaml").write_text(f"nc: {len(names)}\nnames: [{', '.join(names)}]\n", encoding="utf-8")
    return root


def coco_content(
    images: Mapping[str, Sequence[int]], names: Sequence[str] = NAMES, ids: Sequence[int] = (1, 10, 3)
) -> dict[str, Any]:
    """Return annotations: file name → category numbers of its objects, the last of them a crowd."""
    annotations = []
    for number, classes in enumerate(images.values()):
        for k in classes:
            annotations.append(
                {
                    "id": len(annotations),
                    "image_id": 100 + number,
                    "category_id": k,
                    "bbox": [1, 1, 9, 9],
                    "iscrowd": int(k == classes[-1]),
                    "segmentation": {"counts": [3, 4], "size": [40, 48]},
                }
            )
    return {
        "info": {"year": 2017},
        "images": [{"id": 100 + n, "file_name": name, "height": 40, "width": 48} for n, name in enumerate(images)],
        "annotations": annotations,
        "categories": [{"id": i, "name": name, "supercategory": "x"} for i, name in zip(ids, names, strict=True)],
    }


def make_coco(root: Path, splits: Mapping[str, Mapping[str, Sequence[int]]], folder: str = "{}") -> Path:
    """Write annotations/instances_<split>.json and the photographs in `folder`, {} being the split."""
    for split, images in splits.items():
        path = root / "annotations" / f"instances_{split}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(coco_content(images)), encoding="utf-8")
        for number, (name, classes) in enumerate(images.items()):
            write_image(root / folder.format(split) / name, draw_photo([c % 3 for c in classes[:2]], seed=number)[0])
    return root
