"""Masks by a walk where images are one pixel wide, carry no label, or have seeds of something else."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

from recam_cli.core.cams.store import Seed, read_seed
from recam_cli.core.data.custom import open_custom
from recam_cli.core.data.images import read_mask
from recam_cli.core.errors import DataError, RunError
from recam_cli.core.reporter import SilentReporter
from recam_cli.core.runs.run import Run
from recam_cli.core.settings.make_masks import MakeMasksSettings
from recam_cli.core.settings.resolve import resolve
from recam_cli.stages import make_masks
from tests.helpers.tiny_run import make_run, put_seed

SMALL = {"irn_epochs": 1, "irn_batch_size": 2, "irn_crop": 32, "irn_radius": 3, "psa_epochs": 1, "psa_crop": 32}
WALKS = [
    {"refine": "irn"},
    {"refine": "irn+crf", "walk_sources": "labels", "walk_scale": 2.0, "instances": True},
    {"refine": "psa+crf"},
    {"refine": "psa", "walk_sources": "labels", "walk_scale": 2.0},
]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("odd")
    make_run(root)
    return root


@pytest.fixture
def tiny(made, tmp_path):
    shutil.copytree(made, tmp_path / "copy")
    return tmp_path / "copy" / "run", tmp_path / "copy" / "data"


def make(tiny, **flags):
    path, data = tiny
    common = {"dataset": "custom", "data_root": str(data), "device": "cpu", "precision": "fp32", "workers": 0}
    resolved = resolve(MakeMasksSettings, flags=common | SMALL | {"threshold": "0.3", "overwrite": True} | flags)
    return make_masks.run(resolved, Run.open(path), SilentReporter())


def replace_image(tiny, name, height, width):
    """Give an image another size, and a seed that fits."""
    path, data = tiny
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (height, width, 3), dtype=np.uint8)
    file = next((data / "JPEGImages").glob(f"{name}.*"))
    Image.fromarray(pixels).save(file)
    classes = read_seed(path / "seeds" / f"{name}.npz").classes
    maps = generator.random((len(classes), -(-height // 4), -(-width // 4)), dtype=np.float32)
    put_seed(path, name, Seed(classes, maps, (height, width)))
    run = Run.open(path)
    run.manifest.stages["make-seeds"].inputs["data"] = open_custom(data, "train").fingerprint()
    run.manifest.save(path)


@pytest.mark.parametrize("flags", WALKS, ids=str)
def test_images_one_pixel_wide_and_images_without_label_get_masks_too(tiny, flags):
    replace_image(tiny, "img_000", 1, 40)
    replace_image(tiny, "img_001", 37, 1)
    seed = read_seed(tiny[0] / "seeds" / "img_002.npz")
    put_seed(tiny[0], "img_002", Seed(seed.classes[:0], seed.maps[:0], seed.size))

    result = make(tiny, **flags)

    masks = {file.stem: read_mask(file) for file in result.folder.glob("*.png")}
    assert len(masks) == result.images == 4
    assert masks["img_000"].shape == (1, 40)
    assert masks["img_001"].shape == (37, 1)
    assert not masks["img_002"].any()


@pytest.mark.parametrize("flags", [{"refine": "irn"}, {"refine": "psa"}], ids=str)
def test_a_missing_seed_is_told_before_any_work(tiny, flags):
    (tiny[0] / "seeds" / "img_001.npz").unlink()
    with pytest.raises(RunError, match="no seed of image img_001"):
        make(tiny, **flags)
    assert not (tiny[0] / "irn").exists()
    assert not (tiny[0] / "psa").exists()


@pytest.mark.parametrize("flags", [{"refine": "irn"}, {"refine": "psa"}], ids=str)
def test_a_seed_of_another_size_is_refused_by_image_and_masks_stay(tiny, flags):
    before = {file.name: file.read_bytes() for file in (tiny[0] / "masks").glob("*.png")}
    seed = read_seed(tiny[0] / "seeds" / "img_001.npz")
    put_seed(tiny[0], "img_001", Seed(seed.classes, seed.maps[:, :2, :2], (8, 8)))
    with pytest.raises(DataError, match=r"img_001.*(?:8×8|8, 8)"):
        make(tiny, **flags)
    assert {file.name: file.read_bytes() for file in (tiny[0] / "masks").glob("*.png")} == before


@pytest.mark.parametrize("flags", [{"refine": "irn"}, {"refine": "psa"}], ids=str)
def test_a_seed_of_a_class_the_image_lacks_is_refused_by_image(tiny, flags):
    seed = read_seed(tiny[0] / "seeds" / "img_001.npz")
    other = np.array([k for k in range(3) if k not in seed.classes.tolist()][:1])
    put_seed(tiny[0], "img_001", Seed(other, seed.maps[:1], seed.size))
    with pytest.raises(DataError, match="img_001: its seed maps class id"):
        make(tiny, **flags)
