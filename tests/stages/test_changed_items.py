"""Seeds, masks and predictions that are not what was written: made anew by their own stage, refused by later ones."""

from __future__ import annotations

import shutil

import pytest

from recam_cli.core.errors import ExitCode, RunError
from recam_cli.core.reporter import SilentReporter
from recam_cli.core.runs.run import Run
from recam_cli.core.runs.verify import verify
from recam_cli.core.settings.make_masks import MakeMasksSettings
from recam_cli.core.settings.make_seeds import MakeSeedsSettings
from recam_cli.core.settings.resolve import resolve
from recam_cli.core.settings.train_seg import TrainSegSettings
from recam_cli.stages import make_masks, make_seeds, train_seg
from tests.helpers.damage import flip_bit
from tests.helpers.tiny_run import TINY_THRESHOLD, evaluate_run, make_run
from tests.helpers.walk_run import walk

SEGMENTER = {"network": "lraspp", "stride": "16", "epochs": 1, "batch_size": 2, "crop": 32, "flip": False}
CPU = {"device": "cpu", "precision": "fp32", "workers": 0}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Give a run with seeds, walked masks, masks that were cut, and a segmenter with its predictions."""
    root = tmp_path_factory.mktemp("made")
    run = make_run(root)
    for stage in (segment, score_all):
        stage(run, root / "data")
    return root


@pytest.fixture
def data(made):
    return made / "data"


@pytest.fixture
def run(made, tmp_path):
    return Run.open(shutil.copytree(made / "run", tmp_path / "run"))


def seed(run, data, reporter=None, **flags):
    flags = {"dataset": "custom", "data_root": data, "scales": "1", **CPU, **flags}
    make_seeds.run(resolve(MakeSeedsSettings, flags=flags), run, reporter or SilentReporter())


def mask(run, data, reporter=None, **flags):
    flags = {"dataset": "custom", "data_root": data, "threshold": TINY_THRESHOLD, "refine": "none", **CPU, **flags}
    make_masks.run(resolve(MakeMasksSettings, flags=flags), run, reporter or SilentReporter())


def segment(run, data, reporter=None, **flags):
    flags = {"dataset": "custom", "data_root": data, **SEGMENTER, **CPU, **flags}
    train_seg.run(resolve(TrainSegSettings, flags=flags), run, reporter or SilentReporter())


def score_all(run, data, reporter=None):
    for of in ("seeds", "masks", "segmentation"):
        score(of)(run, data)


def score(of):
    return lambda run, data: evaluate_run(run, of=of, data_root=data)


def faults(run):
    return [fault.file for fault in verify(Run.open(run.path), SilentReporter()).faults]


ITEMS = {
    "seeds/img_001.npz": (seed, "seeds/img_003.npz"),
    "masks/img_001.png": (mask, "masks/img_003.png"),
    "confidence/img_001.png": (mask, "confidence/img_003.png"),
    "predictions/val/img_004.png": (segment, "masks/img_003.png"),
}


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("fault", ["flipped", "another's", "cut"])
@pytest.mark.parametrize("name", ITEMS)
def test_its_own_stage_makes_it_anew_keeps_what_was_there_and_says_so(run, data, name, fault, overwrite):
    path, (stage, other) = run.path / name, ITEMS[name]
    whole = path.read_bytes()
    if fault == "flipped":
        flip_bit(path)
    else:
        path.write_bytes(whole[: len(whole) // 2] if fault == "cut" else (run.path / other).read_bytes())
    changed = path.read_bytes()
    assert faults(run) == [str(path)]

    told = SilentReporter()
    stage(run, data, told, overwrite=overwrite)

    assert path.read_bytes() == whole
    assert faults(run) == []
    aside = path.parent.with_name(f"{path.parent.name}.old-1")
    assert [kept.name for kept in aside.glob("*.*") if kept.read_bytes() == changed] == [path.name]
    [line] = [line for line in told.warnings if "changed since they were written" in line]
    assert "1 of the " in line and path.stem in line
    stage(run, data, told, overwrite=overwrite)
    assert not path.parent.with_name(f"{path.parent.name}.old-2").exists()


LATER = {
    "seeds/img_001.npz": (mask, score("seeds")),
    "masks/img_001.png": (segment, score("masks")),
    "predictions/val/img_004.png": (score("segmentation"),),
}


@pytest.mark.parametrize("fault", ["flipped", "another's"])
@pytest.mark.parametrize("name", LATER)
def test_later_stages_refuse_it_with_4_name_it_and_make_nothing(run, data, name, fault):
    path = run.path / name
    if fault == "flipped":
        flip_bit(path)
    else:
        path.write_bytes((run.path / ITEMS[name][1]).read_bytes())
    before = {file: file.read_bytes() for file in run.path.rglob("*") if file.is_file()}
    for stage in LATER[name]:
        with pytest.raises(RunError, match=rf"{path.name} has changed since .* wrote it") as caught:
            stage(run, data)
        assert caught.value.exit_code == ExitCode.BAD_RUN
        assert "make it anew: recam" in str(caught.value).lower()
    assert {file: file.read_bytes() for file in run.path.rglob("*") if file.is_file()} == before


def test_parts_of_a_walk_that_have_changed_are_made_anew(made, tmp_path):
    run = Run.open(shutil.copytree(made / "run", tmp_path / "run"))
    walk(made / "data", run.path, "irn", overwrite=True)
    for name in ("walked/img_001.npz", "confident/img_001.png"):
        path = run.path / name
        whole = path.read_bytes()
        flip_bit(path)
        walk(made / "data", run.path, "irn")
        assert path.read_bytes() == whole, name
    assert faults(run) == []


@pytest.mark.parametrize("fault", ["flipped", "another's"])
def test_a_changed_segmenter_is_refused_and_with_overwrite_kept_aside_and_trained_anew(run, data, fault):
    path = run.path / "segmenter" / "lraspp.safetensors"
    whole = path.read_bytes()
    if fault == "flipped":
        flip_bit(path)
    else:
        segment(run, data, seed=9, overwrite=True)
        another = path.read_bytes()
        segment(run, data, overwrite=True)
        shutil.rmtree(run.path / "segmenter.old-1")
        shutil.rmtree(run.path / "segmenter.old-2")
        path.write_bytes(another)
    changed = path.read_bytes()
    with pytest.raises(RunError, match=r"lraspp\.safetensors has changed since train-seg wrote it.*--overwrite"):
        segment(run, data)
    assert Run.open(run.path).require("train-seg").state == "done"
    segment(run, data, overwrite=True)
    assert path.read_bytes() == whole
    assert (run.path / "segmenter.old-1" / path.name).read_bytes() == changed
    assert faults(run) == []
