"""`--memory` changes neither what a stage makes, but for rounding, nor what its files are known by."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from recam_cli.core.cams.store import read_seed
from recam_cli.core.data.images import read_mask
from recam_cli.core.errors import UsageError
from recam_cli.core.memory import held_bytes, in_words, release_memory
from recam_cli.core.reporter import SilentReporter
from recam_cli.core.runs.run import Run, result_settings, stage_fingerprint
from recam_cli.core.settings.make_masks import MakeMasksSettings
from recam_cli.core.settings.make_seeds import MakeSeedsSettings
from recam_cli.core.settings.predict import PredictSettings
from recam_cli.core.settings.resolve import resolve
from recam_cli.core.settings.run import resolve_stages
from recam_cli.core.settings.train_cls import TrainClsSettings
from recam_cli.core.settings.train_seg import TrainSegSettings
from recam_cli.stages import make_masks, make_seeds, predict, train_cls, train_seg
from tests.helpers.tiny_data import make_custom, tiny_ids
from tests.helpers.tiny_run import _TRAIN, add_segmenter, make_run
from tests.helpers.walk_run import SMALL

QUICK = {"device": "cpu", "precision": "fp32", "workers": 0}
SETTINGS = (TrainClsSettings, MakeSeedsSettings, MakeMasksSettings, TrainSegSettings, PredictSettings)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("memory")
    make_run(root, masks=False)
    return root


def tight(spare=32 << 20):
    """Return a budget that leaves hardly any room beside what this process holds, and what one photograph takes."""
    release_memory()
    return in_words(held_bytes() + (64 << 20) + spare)


def seeds_of(place, name, **flags):
    run = place / name
    shutil.copytree(place / "run", run, dirs_exist_ok=True)
    made = {**QUICK, "dataset": "custom", "data_root": place / "data", "scales": "1,2", **flags}
    return make_seeds.run(resolve(MakeSeedsSettings, flags=made), Run.open(run), SilentReporter())


def masks_of(place, name, **flags):
    cut = {**QUICK, "dataset": "custom", "data_root": place / "data", "threshold": "0.4", "walk_threshold": "0.4"}
    cut |= {"refine": "irn", **SMALL["irn"], **flags}
    return make_masks.run(resolve(MakeMasksSettings, flags=cut), Run.open(place / name), SilentReporter())


@pytest.mark.parametrize("cls", SETTINGS)
def test_no_fingerprint_depends_on_the_budget(cls):
    some, other = (resolve(cls, flags={"memory": size}).settings for size in ("3GB", "auto"))
    assert some.memory == "3GB"
    assert "memory" not in result_settings(some, {})
    assert stage_fingerprint("a", some, {}) == stage_fingerprint("a", other, {})


def test_a_whole_run_hands_it_to_every_stage_that_computes():
    stages = resolve_stages({"memory": "2GB", "data_root": Path("/d")}, dataset="custom")
    having = {name: r.settings.memory for name, r in stages.items() if hasattr(r.settings, "memory")}
    assert having == dict.fromkeys(("train-cls", "make-seeds", "make-masks", "train-seg"), "2GB")


def test_seeds_made_with_hardly_any_memory_are_the_same_and_serve_as_the_same(place):
    seeds_of(place, "roomy", memory="64GB")
    result = seeds_of(place, "tight", memory=tight())
    for id_ in tiny_ids(4):
        one, other = (read_seed(place / name / "seeds" / f"{id_}.npz") for name in ("roomy", "tight"))
        np.testing.assert_allclose(one.maps, other.maps, atol=1e-3)
    assert result.made == 4
    assert seeds_of(place, "tight", memory="64GB").kept == 4
    assert Run.open(place / "tight").require("make-seeds").notes["together"]["pixels"] > 10**7


def test_too_little_for_one_photograph_is_one_line_that_names_what_would_do(place):
    with pytest.raises(UsageError, match=r"^--memory 64MiB: make-seeds needs [0-9.]+[MG]B for one .*Give --memory"):
        seeds_of(place, "little", memory="64MiB")
    assert not list((place / "little" / "seeds").glob("*.npz"))


def test_masks_begun_with_much_memory_are_finished_with_little(place):
    seeds_of(place, "masks")
    masks_of(place, "masks", memory="64GB")
    made = {id_: read_mask(place / "masks" / "masks" / f"{id_}.png") for id_ in tiny_ids(4)}
    for folder in ("masks", "walked"):
        next((place / "masks" / folder).glob("img_001.*")).unlink()
    result = masks_of(place, "masks", memory=tight(64 << 20))
    assert (result.made, result.kept) == (1, 3)
    assert (read_mask(place / "masks" / "masks" / "img_001.png") == made["img_001"]).mean() > 0.99


def test_training_with_hardly_any_memory_teaches_the_same(place, tmp_path):
    losses = {}
    for name, memory in (("roomy", "64GB"), ("tight", tight(150 << 20))):
        flags = {**_TRAIN, "batch_size": 4, "crop": 160, "data_root": place / "data", "memory": memory}
        losses[name] = train_cls.run(resolve(TrainClsSettings, flags=flags), tmp_path / name, SilentReporter()).losses
    assert losses["roomy"] == pytest.approx(losses["tight"], rel=1e-3)
    parts = [Run.open(tmp_path / name).require("train-cls").notes["together"] for name in losses]
    assert parts[0]["CAM"] == 4
    assert parts[1]["CAM"] < 4


def test_predictions_in_parts_are_the_same(place):
    run = place / "predicting"
    shutil.copytree(place / "run", run)
    net = {"network": "lraspp", "stride": "16", "epochs": 1, "batch_size": 2, "crop": 64, "init": "none"}
    net |= {**QUICK, "dataset": "custom", "data_root": place / "data", "labels": "truth"}
    found = {}
    for memory in ("64GB", tight(90 << 20)):
        train_seg.run(resolve(TrainSegSettings, flags={**net, "memory": memory}), Run.open(run), SilentReporter())
        predictions = next(run.glob("predictions*")) / "val"
        found[memory] = [read_mask(path) for path in sorted(predictions.glob("*.png"))]
        shutil.rmtree(predictions)
    one, other = found.values()
    assert len(one) == 2
    assert all((a == b).mean() > 0.99 for a, b in zip(one, other, strict=True))


def test_predict_says_what_a_photograph_needs(place, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(place / "run", run)
    add_segmenter(Run.open(run))
    settings = resolve(PredictSettings, flags={**QUICK, "memory": "64MiB", "out": tmp_path / "out"})
    with pytest.raises(UsageError, match=r"^--memory 64MiB: predict needs"):
        predict.run(settings, Run.open(run), SilentReporter(), [place / "data" / "JPEGImages"])


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="memory is read from /proc")
@pytest.mark.parametrize("budget", [1200, 1600])
def test_a_training_keeps_within_its_budget_under_a_real_limit(tmp_path, budget):
    """ResNet-50 on 16 crops of 256 pixels, which takes 2.5 GiB whole. Margin: a tenth of the budget."""
    data = make_custom(tmp_path / "data", 24, size=(256, 256), masks=False)
    code = f"""
        import resource, sys
        from pathlib import Path
        from recam_cli.core.reporter import SilentReporter
        from recam_cli.core.settings.resolve import resolve
        from recam_cli.core.settings.train_cls import TrainClsSettings
        from recam_cli.stages import train_cls

        # Data, the stacks of threads among it, can by no means grow beyond twice the budget.
        resource.setrlimit(resource.RLIMIT_DATA, (2 * {budget} << 20, resource.RLIM_INFINITY))
        flags = dict(
            dataset="custom", data_root=Path({str(data)!r}), backbone="resnet50",
            weights={str(tmp_path / "w.safetensors")!r},
            crop=256, long_side="256,256", batch_size=16, epochs=1, recam_epochs=1, val_split="none",
            device="cpu", precision="fp32", workers=0, memory="{budget}MiB",
        )
        train_cls.run(resolve(TrainClsSettings, flags=flags), Path({str(tmp_path / "run")!r}), SilentReporter())
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    """
    make_weights(tmp_path / "w.safetensors")
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    peak = int(done.stdout.split()[-1]) >> 10
    print(f"budget {budget} MiB: peak {peak} MiB")
    assert peak <= 1.1 * budget
    assert Run.open(tmp_path / "run").require("train-cls").notes["together"]["CAM"] < 16


def make_weights(path):
    """Write random weights of ResNet-50 as a file, so that its statistics are frozen."""
    import safetensors.torch

    from recam_cli.core.models.backbones import BACKBONES

    state = BACKBONES["resnet50"].build().state_dict()
    safetensors.torch.save_file({k: v.contiguous() for k, v in state.items() if v.dim() > 0}, path)
