"""A camera's photograph gives the mask that its small copy gives, at its own size, in bounded memory."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from recam_cli.core.cams.store import read_seed
from recam_cli.core.data.custom import open_custom
from recam_cli.core.data.images import read_image, read_mask, write_image, write_mask
from recam_cli.core.errors import DataError
from recam_cli.core.masks.confidence import read_confidence
from recam_cli.core.models.classifier_files import run_classifier
from recam_cli.core.models.scoring import score_images
from recam_cli.core.reporter import SilentReporter
from recam_cli.core.runs.run import Run
from recam_cli.core.settings.evaluate import EvaluateSettings
from recam_cli.core.settings.make_masks import MakeMasksSettings
from recam_cli.core.settings.make_seeds import MakeSeedsSettings
from recam_cli.core.settings.resolve import resolve
from recam_cli.core.settings.train_seg import TrainSegSettings
from recam_cli.stages import evaluate, make_masks, make_seeds, train_seg
from tests.helpers.memory import MemoryWatch, tree_pss
from tests.helpers.tiny_data import make_custom, tiny_ids
from tests.helpers.tiny_run import make_run
from tests.helpers.walk_run import SMALL
from tests.helpers.weights_files import random_weights

SIDE, TIMES = 96, 4
QUICK = {"device": "cpu", "precision": "fp32", "workers": 0}
IRN = {
    **SMALL["irn"],
    "walk_side": 128,
    "irn_side": "64,128",
    "walk_steps": 32,
    "walk_threshold": "0.4",
    "instances": True,
}


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Photographs of 72×96 pixels, their copies of four times the side, and a run trained on the small ones."""
    root = tmp_path_factory.mktemp("large")
    make_custom(root / "small", size=(72, SIDE))
    shutil.copytree(root / "small", root / "large")
    for photo in (root / "small" / "JPEGImages").iterdir():
        pixels = cv2.GaussianBlur(read_image(photo), (0, 0), 2)
        write_image(photo, pixels)
        big = cv2.resize(pixels, None, fx=TIMES, fy=TIMES, interpolation=cv2.INTER_CUBIC)
        write_image(root / "large" / "JPEGImages" / photo.name, big)
    for mask in (root / "large" / "SegmentationClass").iterdir():
        write_mask(mask, np.kron(read_mask(mask), np.ones((TIMES, TIMES), np.uint8)))
    # Of features that were never learned: those of ImageNet tell such small pictures by the noise of being resized.
    weights = random_weights(root / "start.safetensors", "resnet18")
    start = {"backbone": "resnet18", "weights": str(weights)}
    make_run(root, data=root / "small", masks=False, long_side="48,96", **start)
    return root


def masks_of(places, data, name, seeds=None, **flags):
    """Make seeds and masks of a data set with the same classifier; returns the run's folder."""
    run = places / name
    if not run.exists():
        shutil.copytree(places / "run", run)
    common = {**QUICK, "dataset": "custom", "data_root": places / data, "work_side": SIDE}
    made = {"sides": "64,128", "flip": False, **common, **(seeds or {})}
    make_seeds.run(resolve(MakeSeedsSettings, flags=made), Run.open(run), SilentReporter())
    mild = {
        "unary": "soft",
        "crf_bilateral_sxy": 10,
        "crf_bilateral_compat": 3,
    }  # leaves objects of such small pictures
    cut = {**common, "threshold": "0.4", "overwrite": True, **mild, **flags}
    make_masks.run(resolve(MakeMasksSettings, flags=cut), Run.open(run), SilentReporter())
    return run


def shrunk(mask):
    return mask[TIMES // 2 :: TIMES, TIMES // 2 :: TIMES]


def refiners():
    return pytest.mark.parametrize("refine", ["none", "crf", "irn", "irn+crf", "psa"])


@refiners()
def test_a_large_photograph_has_the_mask_of_its_small_copy_at_its_own_size(places, refine):
    extra = IRN if refine.startswith("irn") else {"walk_side": 128, "walk_steps": 32, **SMALL["psa"]}
    extra = {**extra, "refine": refine}
    small = masks_of(places, "small", "run-small", **extra)
    if refine.startswith("irn"):  # four photographs teach too little for two networks to be alike
        extra |= {"irn_weights": str(small / "irn" / "irn.safetensors")}
        small = masks_of(places, "small", "run-small", **extra)
    large = masks_of(places, "large", "run-large", **extra)
    shown, agree = 0, []
    for id_ in tiny_ids(4):
        seed = read_seed(large / "seeds" / f"{id_}.npz")
        assert (seed.size, seed.work) == ((72 * TIMES, SIDE * TIMES), (72, SIDE))
        assert seed.maps.shape == read_seed(small / "seeds" / f"{id_}.npz").maps.shape
        wanted, found = (read_mask(run / "masks" / f"{id_}.png") for run in (small, large))
        assert found.shape == (72 * TIMES, SIDE * TIMES)
        shown += int(wanted.any())
        agree.append((shrunk(found) == wanted).mean())
        levels = read_confidence(large / "confidence" / f"{id_}.png", found.shape).astype(int)
        usual = read_confidence(small / "confidence" / f"{id_}.png", wanted.shape)
        assert np.abs(shrunk(levels) - usual).mean() < 8
        if refine.startswith("irn"):
            told = read_mask(large / "instances" / f"{id_}.png")
            assert np.array_equal(told > 0, found > 0)
    assert shown >= 2
    # Taught by four photographs, the walk leaves scores so flat that the CRF turns whole pieces on the third decimal.
    assert np.mean(agree) >= (0.96 if refine == "irn+crf" else 0.98)


def test_networks_that_guide_a_walk_learn_large_photographs_at_their_working_size(places):
    run = masks_of(places, "large", "run-learning", refine="irn", **{**IRN, "walk_sources": "labels"})
    for id_ in tiny_ids(4):
        assert read_mask(run / "confident" / f"{id_}.png").shape == (72, SIDE)
        assert read_seed(run / "walked" / f"{id_}.npz").work == (72, SIDE)
        assert read_mask(run / "masks" / f"{id_}.png").shape == (72 * TIMES, SIDE * TIMES)


def test_a_turned_large_photograph_has_the_turned_mask(places):
    upright = masks_of(places, "large", "run-upright", refine="crf")
    turned = places / "turned"
    if not turned.exists():
        shutil.copytree(places / "large", turned)
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its left side: to be turned by 90° clockwise
    for photo in (turned / "JPEGImages").iterdir():
        stored = np.ascontiguousarray(np.rot90(read_image(photo)))
        Image.fromarray(stored).save(photo, quality=95, subsampling=0, exif=exif)
    found = masks_of(places, "turned", "run-turned", refine="crf")
    for id_ in tiny_ids(4):
        one, other = (read_mask(run / "masks" / f"{id_}.png") for run in (upright, found))
        assert one.shape == other.shape
        assert (one == other).mean() > 0.99


@pytest.mark.parametrize("refine", ["none", "crf"])
def test_photographs_that_are_no_larger_give_the_same_bytes_with_any_work_side(places, refine):
    """Without lengths in pixels, what is published."""
    seeds = {"sides": "0", "scales": "1,0.5", "flip": True}
    free = masks_of(places, "small", f"free-{refine}", {**seeds, "work_side": 0}, refine=refine, work_side=0)
    bound = masks_of(places, "small", f"bound-{refine}", seeds, refine=refine)
    for folder, suffix in (("seeds", ".npz"), ("masks", ".png"), ("confidence", ".png")):
        for id_ in tiny_ids(4):
            one, other = (run / folder / f"{id_}{suffix}" for run in (free, bound))
            assert one.read_bytes() == other.read_bytes()


def test_seeds_of_another_work_side_are_refused_with_the_remedy(places):
    run = masks_of(places, "large", "run-other", refine="none")
    flags = {**QUICK, **IRN, "dataset": "custom", "data_root": places / "large", "work_side": 48, "threshold": "0.4"}
    with pytest.raises(DataError, match=r"image of 48×36 pixels, but the seed was made of one of 96×72"):
        make_masks.run(resolve(MakeMasksSettings, flags=flags | {"overwrite": True}), Run.open(run), SilentReporter())


def test_scores_of_large_masks_and_predictions_are_those_of_the_small_ones(places):
    figures = {}
    for data in ("small", "large"):
        run = masks_of(places, data, f"scored-{data}", refine="crf")
        flags = {"dataset": "custom", "data_root": places / data, "split": "train"}
        cut = {"seeds": {"threshold": "0.4"}, "masks": {}}
        for of in ("seeds", "masks"):
            result = evaluate.run(
                resolve(EvaluateSettings, flags={**flags, "of": of, **cut[of]}), Run.open(run), SilentReporter()
            )
            figures[data, of] = result.confusion
        net = {"network": "lraspp", "stride": "16", "epochs": 1, "batch_size": 2, "crop": 64, "side": "64,96"}
        net |= {"dataset": "custom", "data_root": places / data, "predict_side": 80, "work_side": SIDE, "init": "none"}
        train_seg.run(resolve(TrainSegSettings, flags={**QUICK, **net}), Run.open(run), SilentReporter())
    for of in ("seeds", "masks"):
        small, large = (figures[data, of] for data in ("small", "large"))
        # All but the pixels at borders: a frame of 255 is counted wherever it lies.
        assert large.total == pytest.approx(small.total * TIMES**2)
        assert np.abs(small.counts * TIMES**2 - large.counts).sum() < 0.04 * large.total
    for id_ in tiny_ids(6)[4:]:
        paths = (places / f"scored-{data}" / "predictions" / "val" / f"{id_}.png" for data in ("small", "large"))
        small, large = map(read_mask, paths)
        assert large.shape == (72 * TIMES, SIDE * TIMES)
        assert (shrunk(large) == small).mean() > 0.95


def test_scores_of_large_photographs_are_those_of_their_small_copies(places):
    device = torch.device("cpu")
    classifier = run_classifier(Run.open(places / "run"), "recam", device)[0]
    found = {}
    for data in ("small", "large"):
        images = open_custom(places / data, "train")
        with SilentReporter().track("", len(images)) as progress:
            found[data] = score_images(
                classifier, images, progress, batch_size=2, max_pixels=10**8, workers=0, longest=SIDE
            )[1]
    np.testing.assert_allclose(found["large"], found["small"], atol=0.03)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="memory is read from /proc")
@pytest.mark.parametrize("refine", ["crf", "irn"])
def test_memory_does_not_grow_with_the_photograph(places, tmp_path, refine):
    data = make_custom(tmp_path / "data", 2, size=(3000, 4000), splits={"train": [0, 1]}, masks=False)
    shutil.copytree(places / "run", tmp_path / "run")
    code = f"""
        import sys
        from pathlib import Path
        from recam_cli.core.reporter import SilentReporter
        from recam_cli.core.runs.run import Run
        from recam_cli.core.settings.make_masks import MakeMasksSettings
        from recam_cli.core.settings.make_seeds import MakeSeedsSettings
        from recam_cli.core.settings.presets import preset_values
        from recam_cli.core.settings.resolve import resolve
        from recam_cli.stages import make_masks, make_seeds

        flags = {{"dataset": "custom", "data_root": {str(data)!r}, "device": "cpu", "precision": "fp32", "workers": 1}}
        own = {{"refine": {refine!r}, "threshold": "0.4", "irn_epochs": 1}}
        print("ready", flush=True)
        sys.stdin.readline()
        for stage, cls, more in (
            (make_seeds, MakeSeedsSettings, {{}}), (make_masks, MakeMasksSettings, own)
        ):
            preset = preset_values("small", "custom", stage.STAGE)
            settings = resolve(cls, flags=flags | more, preset=preset)
            stage.run(settings, Run.open(Path({str(tmp_path / "run")!r})), SilentReporter())
    """
    body = textwrap.indent(textwrap.dedent(code), "    ")
    script = tmp_path / "work.py"
    script.write_text(f"if __name__ == '__main__':\n{body}")
    root = str(Path(__file__).parents[2])
    child = subprocess.Popen(
        [sys.executable, str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"},
    )
    assert child.stdin is not None and child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    before = tree_pss(child.pid)
    with MemoryWatch(child.pid) as watch:
        child.communicate(b"go\n")
    print(f"{refine}: {before >> 20} MiB before, at most {watch.peak >> 20} MiB")
    assert child.returncode == 0
    assert watch.peak - before < 1.5 * 2**30
    assert read_mask(tmp_path / "run" / "masks" / "img_000.png").shape == (3000, 4000)
