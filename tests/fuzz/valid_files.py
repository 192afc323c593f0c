"""The valid files that readers are given, before they are spoilt."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from recam_cli.core.cams.store import Seed, write_seed
from recam_cli.core.data.check_cache import CheckCache
from recam_cli.core.data.check_files import check_files
from recam_cli.core.data.images import write_grey, write_mask
from recam_cli.core.data.shapes.spec import SMALLEST_SIDE, ShapesSpec
from recam_cli.core.models.classifier import Classifier
from recam_cli.core.models.classifier_files import save_classifier
from tests.fuzz import mutations as m
from tests.fuzz.tiny_files import (
    TINY,
    tiny_backbone,
    tiny_state,
)
from tests.helpers.tiny_data import annotation_xml, draw_photo

PIXELS = 10_000


def photo(kind: str, **options: Any) -> Callable[[], bytes]:
    def make() -> bytes:
        exif = Image.Exif()
        exif[0x0112] = 6
        buffer = io.BytesIO()
        Image.fromarray(draw_photo((0, 1), size=(24, 20))[0]).save(buffer, format=kind, exif=exif, **options)
        return buffer.getvalue()

    return make


def png() -> bytes:
    about = PngInfo()
    about.add_text("Comment", "words " * 40, zip=True)
    frames = [Image.fromarray(draw_photo((k,), size=(16, 20))[0]) for k in range(2)]
    buffer = io.BytesIO()
    frames[0].save(
        buffer, format="PNG", pnginfo=about, icc_profile=b"profile" * 9, save_all=True, append_images=frames[1:]
    )
    return buffer.getvalue()


def _written(write: Callable[[Path], Any]) -> Callable[[], bytes]:
    """Return a maker of what `write` writes to a path."""

    def make() -> bytes:
        path = TINY / "made.bin"
        write(path)
        return path.read_bytes()

    return make


def mask() -> bytes:
    return _written(lambda path: write_mask(path, draw_photo((0, 1), size=(24, 20))[1]))()


def grey() -> bytes:
    return _written(lambda path: write_grey(path, draw_photo((0,), size=(24, 20))[0][:, :, 0]))()


def seed() -> bytes:
    maps = np.linspace(0, 1, 2 * 6 * 5, dtype=np.float32).reshape(2, 6, 5)
    return _written(lambda path: write_seed(path, Seed(np.array([0, 2]), maps, (24, 20))))()


def npz_member(data: bytes, rng: Any) -> bytes:
    """Spoil one array within the archive, which then is whole again."""
    import zipfile

    with zipfile.ZipFile(io.BytesIO(data)) as old:
        members = {name: old.read(name) for name in old.namelist()}
    name = rng.choice(list(members))
    how = rng.random()
    if how < 0.8:
        members[name] = rng.choice((m.flip_bits, m.set_bytes, m.truncate, m.insert_token, _npy_header))(
            members[name], rng
        )
    elif how < 0.9:
        del members[name]
    else:
        members[rng.choice(list(members))] = members[name]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", rng.choice((0, 8, 12, 14))) as new:
        for key, value in members.items():
            new.writestr(key, value)
    return buffer.getvalue()


def _npy_header(data: bytes, rng: Any) -> bytes:
    words = (b"'<f2'", b"'|O'", b"'<i8'", b"(2,)", b"(2, 6, 5)", b"True", b"False", b"shape", b"{", b"'descr'")
    other = (b"'<f8'", b"(10**9,)", b"(99999999999,)", b"(-1,)", b"((((((", b"[('a','<f2')]", b"'<V99999'", b"()", b"")
    found = [w for w in words if w in data]
    return data.replace(rng.choice(found), rng.choice(other + words), 1) if found else data


def csv() -> bytes:
    return b'image,labels,note\nimg_000,cat,a\nimg_001,"cat;dog","a ""b"""\nimg_002,,\nimg_003,bus dog,"two\nlines"\n'


def coco() -> bytes:
    """COCO's annotations of two photographs."""
    images = [{"id": n, "file_name": f"img_{n}.jpg", "height": 8, "width": 12} for n in (1, 2)]
    boxes = [{"id": 5 + n, "image_id": n, "category_id": 3 * n, "bbox": [1, 1, 4, 4], "iscrowd": 0} for n in (1, 2)]
    kinds = [{"id": 3, "name": "cat", "supercategory": "animal"}, {"id": 6, "name": "sofa"}]
    return json.dumps({"info": {}, "images": images, "annotations": boxes, "categories": kinds}).encode()


def yolo_names() -> bytes:
    """A data.yaml."""
    return b"path: .\ntrain: images/train  # pictures\nnc: 3\nnames:\n  0: cat\n  1: 'big dog'\n  2: sofa\n"


def labels_json() -> bytes:
    return json.dumps({f"img_{i:03d}": ["cat", "traffic light"][: i % 3] for i in range(5)}).encode()


def config() -> bytes:
    table = b"[train-cls]\nepochs = 3\nlr = 0.1\nlong-side = [100, 200]\n"
    return table + b'dataset = "custom"\nlabels = "a.csv"\ndownload = false\n'


def classifier() -> bytes:
    return _written(lambda path: save_classifier(path, Classifier(tiny_backbone(16), 3), ("bus", "cat", "dog")))()


def segmenter() -> bytes:
    from recam_cli.core.models.segmenter_files import save_segmenter
    from recam_cli.core.models.segmenters import build_segmenter

    network = build_segmenter("deeplabv2", tiny_backbone(16), 4)
    return _written(lambda path: save_segmenter(path, network, ("bus", "cat", "dog")))()


def branch(kind: Any, **facts: Any) -> Callable[[], bytes]:
    from recam_cli.core.models.branch_files import save_branch

    def make() -> bytes:
        net = kind.build(tiny_backbone(kind.net.backbone_stride), **facts)
        return _written(lambda path: save_branch(path, kind, net))()

    return make


def torch_file(zipped: bool) -> Callable[[], bytes]:
    def make() -> bytes:
        buffer = io.BytesIO()
        torch.save(tiny_state(), buffer, _use_new_zipfile_serialization=zipped)
        return buffer.getvalue()

    return make


def facts_hashed_anew(data: bytes, rng: Any) -> bytes:
    """Change a snapshot's facts and let the hash say so, as a snapshot of another version would."""
    from safetensors.torch import load, save

    from recam_cli.core.models.tensor_digest import tensor_digest

    size = int.from_bytes(data[:8], "little")
    facts = m.json_part(json.loads(data[8 : 8 + size])["__metadata__"]["facts"].encode(), rng)
    text = facts.decode("utf-8", "replace")
    tensors = load(data)
    return save(tensors, metadata={"facts": text, "sha256": tensor_digest(tensors, text)})


def instances() -> bytes:
    one = {"instance": 1, "mask_value": 8, "class": "cat", "score": 0.91, "pixels": 5312}
    return json.dumps({"size": [24, 20], "instances": [one, one | {"instance": 2}]}).encode()


def cache() -> bytes:
    photo = TINY / "a.png"
    photo.write_bytes(mask())
    cache = CheckCache(TINY / "cache.json", max_pixels=PIXELS, classes=3)
    cache.put(photo, photo, check_files(photo, photo, PIXELS, 3))
    cache.put(TINY / "made.bin", None, check_files(photo, photo, PIXELS, 3))
    cache.save()
    return (TINY / "cache.json").read_bytes()


def fingerprint() -> bytes:
    return json.dumps(
        {"fingerprint": "9f3c", "settings": {"threshold": "0.3", "scales": [1.0, 2.0], "of": None}}
    ).encode()


def record() -> bytes:
    return json.dumps(ShapesSpec(seed=0, train=2, val=1, size=(SMALLEST_SIDE, SMALLEST_SIDE)).as_dict()).encode()


def annotation() -> bytes:
    return b'<?xml version="1.0" encoding="utf-8"?>' + annotation_xml("a", [("cat", False), ("dog", True)]).encode()
