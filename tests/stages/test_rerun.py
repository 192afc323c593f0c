"""A run is repeated from its manifest alone, and whatever differs is told; the run itself is never touched."""

from __future__ import annotations

import json
import math
import shutil

import numpy as np
import pytest

from recam_cli.core.cams import families
from recam_cli.core.cams.store import Seed, read_seed, write_seed
from recam_cli.core.data.images import read_mask, write_image, write_mask
from recam_cli.core.errors import RunError, UsageError
from recam_cli.core.models import checkpoint
from recam_cli.core.reporter import SilentReporter
from recam_cli.core.rerun.steps import steps_of
from recam_cli.core.runs.run import Run
from recam_cli.core.settings.evaluate import EvaluateSettings
from recam_cli.core.settings.make_masks import MakeMasksSettings
from recam_cli.core.settings.make_seeds import MakeSeedsSettings
from recam_cli.core.settings.presets import preset_values
from recam_cli.core.settings.rerun import RerunSettings
from recam_cli.core.settings.resolve import resolve
from recam_cli.core.settings.train_cls import TrainClsSettings
from recam_cli.core.settings.train_seg import TrainSegSettings
from recam_cli.stages import evaluate, make_masks, make_seeds, rerun, seed_choice, train_cls, train_seg
from tests.helpers.command_line import recam
from tests.helpers.kills import drive, left_by
from tests.helpers.tiny_data import make_custom
from tests.helpers.tiny_run import evaluate_run, make_run
from tests.helpers.walk_run import walk
from tests.helpers.weights_files import random_weights

SEGMENTER = {"epochs": 1, "batch_size": 2, "crop": 32, "network": "lraspp", "stride": "16", "init": "none"}
SEGMENTER |= {"flip": False, "device": "cpu", "precision": "fp32", "workers": 0}


class Told(SilentReporter):
    """Collects warnings and messages."""

    def __init__(self):
        self.said = []

    def info(self, message):
        self.said.append(message)

    warn = info


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Give a run of both methods with segmenters and evaluations, and its repetition."""
    root = tmp_path_factory.mktemp("whole")
    run = make_run(root, plain_cam=True, momentum=0.5, jitter=0.1, seed=3)
    data = {"dataset": "custom", "data_root": root / "data"}
    for labels in ("masks", "truth"):
        flags = {**data, **SEGMENTER, "labels": labels, "seed": 5}
        train_seg.run(resolve(TrainSegSettings, flags=flags), run, SilentReporter())
    for of, method in (("seeds", "run"), ("masks", "cam"), ("segmentation", "truth")):
        flags = {**data, "of": of, "method": method, "out": run.path / "evaluation-elsewhere"}
        evaluate.run(resolve(EvaluateSettings, flags=flags), run, SilentReporter())
    before = contents(run.path)
    result = again(root)
    assert contents(run.path) == before
    return root, result


def again(root, reporter=None, path=None, **flags):
    return rerun.run(resolve(RerunSettings, flags=flags), root / "run", path, reporter or SilentReporter())


def contents(folder):
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def root(whole, tmp_path):
    """Give a copy of both runs; the data stay where the manifest says."""
    for name in ("run", "run-rerun"):
        shutil.copytree(whole[0] / name, tmp_path / name)
    return tmp_path


def of(result, stage):
    return next(found for found in result.stages if found.stage == stage)


def test_every_stage_is_repeated_to_the_bit(whole):
    root, result = whole
    run = Run.open(root / "run")
    assert result.identical and not result.failed
    assert [s.stage for s in result.stages] == list(run.manifest.stages)
    assert (result.repeated, result.kept) == (10, 0)
    assert of(result, "train-cls").files == 2 and of(result, "make-masks").files == 4 * 2 + 1
    assert of(result, "train-seg-truth").files == 1 + 2
    assert of(result, "evaluate-masks-cam-train").then == run.require("evaluate-masks-cam-train").metrics["miou"]
    for part in ("classifier", "seeds", "masks", "masks-cam", "segmenter", "predictions", "segmenter-truth"):
        files = {p.relative_to(root / "run") for p in (root / "run" / part).rglob("*") if p.is_file()}
        assert files == {
            p.relative_to(root / "run-rerun") for p in (root / "run-rerun" / part).rglob("*") if p.is_file()
        }
        assert all((root / "run" / f).read_bytes() == (root / "run-rerun" / f).read_bytes() for f in files)
    assert json.loads((root / "run-rerun" / "rerun.json").read_text())["identical"] is True


def test_settings_are_those_recorded_and_not_the_defaults(whole):
    root = whole[0]
    old, new = (Run.open(root / name).manifest.stages for name in ("run", "run-rerun"))
    for name, entry in old.items():
        same = {k for k in entry.settings if new[name].settings[k] == entry.settings[k]}
        assert set(entry.settings) - same <= {"out"}, name
        assert new[name].fingerprint == entry.fingerprint
    assert new["train-cls"].settings["momentum"] == 0.5
    assert not (root / "run-rerun" / "evaluation-elsewhere").exists()


def test_called_again_it_only_compares(root):
    before = contents(root / "run-rerun")
    result = again(root)
    assert (result.repeated, result.kept, result.identical) == (0, 10, True)
    changed = {p.name for p, old in before.items() if contents(root / "run-rerun")[p] != old}
    assert changed == {"rerun.json"}


def flip(path):
    about, state = checkpoint.read_about(path), checkpoint.read_state(path)
    state["fc1.weight"][0, 0] += 0.25
    path.write_bytes(checkpoint.packed(state, about))


def test_one_weight_that_differs_is_told_with_its_size(root):
    flip(root / "run" / "classifier" / "cam.safetensors")
    found = of(result := again(root), "train-cls")
    assert result.failed == ("train-cls",)
    assert (found.differing, found.missing, found.names) == (1, 0, ["classifier/cam.safetensors"])
    assert found.largest == pytest.approx(0.25, rel=1e-6)


def test_the_smallest_difference_of_a_weight_counts(root):
    path = root / "run" / "classifier" / "cam.safetensors"
    about, state = checkpoint.read_about(path), checkpoint.read_state(path)
    one = state["fc1.weight"].numpy()
    one[0, 0] = np.nextafter(one[0, 0], np.float32(math.inf))
    path.write_bytes(checkpoint.packed(state, about))
    assert again(root).failed == ("train-cls",)


def test_one_pixel_of_a_mask_and_of_a_prediction_is_told(root):
    for folder in ("masks-cam", "predictions/val"):
        path = sorted((root / "run" / folder).glob("*.png"))[0]
        mask = read_mask(path)
        mask[3, 4] = 2 if mask[3, 4] != 2 else 1
        write_mask(path, mask)
    result = again(root)
    assert result.failed == ("make-masks-cam", "train-seg")
    assert all((of(result, s).differing, of(result, s).pixels) == (1, 1) for s in result.failed)


def test_a_seed_that_differs_and_one_that_is_missing_are_told(root):
    first, second = sorted((root / "run" / "seeds").glob("*.npz"))[:2]
    seed = read_seed(first)
    maps = seed.maps.copy()
    maps[0, 0, 0] = abs(maps[0, 0, 0] - 0.5)
    write_seed(first, Seed(seed.classes, maps, seed.size))
    second.unlink()
    found = of(again(root), "make-seeds")
    assert (found.differing, found.missing) == (1, 1)
    assert found.largest > 0


def test_a_file_that_cannot_be_read_differs(root):
    (root / "run" / "classifier" / "cam.safetensors").write_bytes(b"torn")
    found = of(again(root), "train-cls")
    assert (found.differing, found.largest) == (1, None)


def moved(run, old, new):
    """Replace a text in a run's manifest, as one who knows it does: without the hash of before."""
    lines = (run / "manifest.json").read_text().splitlines()
    text = "\n".join(line for line in lines if not line.startswith('  "sha256": "'))
    (run / "manifest.json").write_text(text.replace(old, new))


def edit(root, change):
    path = root / "run" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest.pop("sha256", None)
    change(manifest["stages"])
    path.write_text(json.dumps(manifest))


@pytest.mark.parametrize(("tolerance", "passes"), [(0.0, False), (0.4, False), (0.6, True)])
def test_scores_are_compared_by_value_and_within_the_tolerance(root, tolerance, passes):
    stage = "evaluate-masks-cam-train"
    edit(root, lambda stages: stages[stage]["metrics"].update(miou=stages[stage]["metrics"]["miou"] + 0.5))
    flip(root / "run" / "classifier" / "recam.safetensors")
    result = again(root, tolerance=tolerance)
    assert not result.identical
    assert of(result, stage).points == pytest.approx(0.5)
    assert (not result.failed) == passes


def test_with_a_tolerance_a_missing_file_counts_all_the_same(root):
    sorted((root / "run" / "masks").glob("*.png"))[0].unlink()
    assert again(root, tolerance=100.0).failed == ("make-masks",)


def test_other_versions_are_warned_of_first(root):
    edit(root, lambda stages: stages["train-cls"]["versions"].update(torch="2.0.1"))
    told = Told()
    result = again(root, told)
    assert "torch 2.0.1 → " in told.said[0] and result.versions["torch"].startswith("2.0.1 → ")


def test_a_stage_made_before_its_source_was_made_anew_is_told(root):
    edit(root, lambda stages: stages["evaluate-seeds-train"]["inputs"].update({"make-seeds": "another"}))
    told = Told()
    again(root, told)
    assert any("evaluate-seeds-train was made before make-seeds was done anew" in line for line in told.said)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Give a run of a classifier and seeds, on data of its own."""
    root = tmp_path_factory.mktemp("small")
    run = make_run(root, masks=False, method="cam", snapshot_every=1e-6)
    flags = {"dataset": "custom", "data_root": root / "data", "scales": "1", "workers": 0, "device": "cpu"}
    make_seeds.run(resolve(MakeSeedsSettings, flags=flags), run, SilentReporter())
    return root


@pytest.fixture
def own(small, tmp_path):
    """Give a copy of that, data and all."""
    for name in ("run", "data"):
        shutil.copytree(small / name, tmp_path / name)
    moved(tmp_path / "run", str(small), str(tmp_path))
    return tmp_path


def test_changed_data_are_refused_unless_allowed(own):
    photo = sorted((own / "data" / "JPEGImages").iterdir())[0]
    write_image(photo, np.full((40, 48, 3), 90, np.uint8))
    with pytest.raises(RunError, match=r"the data of train-cls .* changed since") as caught:
        again(own)
    assert caught.value.exit_code == 4
    assert not (own / "run-rerun").exists()
    told = Told()
    result = again(own, told, allow_changed=True)
    assert any("changed since" in line for line in told.said)
    assert result.failed == ("train-cls", "make-seeds")


def test_called_again_after_masks_or_data_have_changed_it_keeps_nothing_made_before(own):
    run = Run.open(own / "run")
    evaluate_run(run, of="seeds", data_root=own / "data")
    assert not again(own).failed
    truth = sorted((own / "data" / "SegmentationClass").iterdir())
    before = truth[0].read_bytes()
    shutil.copyfile(truth[1], truth[0])
    assert again(own, allow_changed=True).failed == ("evaluate-seeds-train",)
    truth[0].write_bytes(before)
    assert not again(own).failed

    photos = sorted((own / "data" / "JPEGImages").iterdir())
    shutil.copyfile(photos[1], photos[0])
    with pytest.raises(RunError, match=r"run-rerun: the data of train-cls .*choose another --run"):
        again(own, allow_changed=True)


@pytest.mark.parametrize("begin", ["weights of the classifier", "init of the segmenter"])
def test_weights_that_have_changed_since_are_told_by_name(tmp_path, begin):
    start = random_weights(tmp_path / "start.safetensors", "efficientnet_lite0")
    of_classifier = begin.endswith("classifier")
    run = make_run(tmp_path, masks=not of_classifier, **({"weights": str(start)} if of_classifier else {}))
    if not of_classifier:
        flags = {"dataset": "custom", "data_root": tmp_path / "data", **SEGMENTER, "init": str(start)}
        train_seg.run(resolve(TrainSegSettings, flags=flags), run, SilentReporter())
    shutil.copyfile(run.path / "classifier" / "cam.safetensors", start)
    stage = "train-cls" if of_classifier else "train-seg"
    with pytest.raises(RunError, match=rf"the weights .*start\.safetensors of {stage} changed since"):
        again(tmp_path)


def test_missing_data_weights_and_devices_are_told_by_name(own):
    edit(own, lambda stages: stages["train-cls"].update(device="cuda:99"))
    with pytest.raises(RunError, match="train-cls was computed on cuda:99, which is not here"):
        again(own)
    edit(own, lambda stages: stages["train-cls"]["settings"].update(weights="gone.pth"))
    with pytest.raises(RunError, match=r"the weights gone\.pth of train-cls cannot be read"):
        again(own)
    shutil.rmtree(own / "data")
    with pytest.raises(RunError, match=r"the data of train-cls .* cannot be read"):
        again(own)
    assert not (own / "run-rerun").exists()


def test_a_setting_this_version_does_not_know_is_refused(own):
    edit(own, lambda stages: stages["train-cls"]["settings"].update(magic=1))
    with pytest.raises(RunError, match="the setting magic, which this version"):
        again(own)


@pytest.mark.parametrize("place", ["run", "run/inner", "."])
def test_the_run_is_never_repeated_in_place(own, place):
    with pytest.raises(UsageError, match="Choose another --run"):
        again(own, path=own / place)


def test_a_folder_that_is_no_repetition_is_refused_and_left_alone(own, tmp_path):
    other = shutil.copytree(own / "run", tmp_path / "other")
    moved(other, '"lr": 0.01', '"lr": 0.02')
    before = contents(other)
    with pytest.raises(RunError, match=r"lr 0\.01 → 0\.02"):
        again(own, path=other)
    assert contents(other) == before


def test_a_run_without_a_finished_classifier_cannot_be_repeated(own):
    edit(own, lambda stages: stages["train-cls"].update(state="failed"))
    with pytest.raises(RunError, match="train-cls has not finished"):
        again(own)


def test_unfinished_stages_are_left_out_and_told(own):
    edit(own, lambda stages: stages["make-seeds"].update(state="interrupted"))
    told = Told()
    result = again(own, told)
    assert [s.stage for s in result.stages] == ["train-cls"]
    assert any("make-seeds" in line and "left out" in line for line in told.said)


def test_a_walk_with_instances_is_repeated_with_its_parts(tmp_path):
    root = tmp_path / "root"
    make_run(root, method="cam")
    others = {"displacement_lr": 0.5, "displacement_steps": 7, "walk_steps": 9, "irn_lr": 0.05}
    walk(root / "data", root / "run", "irn", instances=True, **others)
    step = next(s for s in steps_of(Run.open(root / "run")) if s.kind == "make-masks")
    assert {name: getattr(step.resolved.settings, name) for name in others} == others
    assert (step.resolved.settings.instances, step.resolved.settings.overwrite) == (True, False)
    result = again(root)
    assert result.identical
    parts = {"confident-labels", "train-irn", "random-walk", "make-masks", "instances"}
    assert {s.stage for s in result.stages if s.files} == parts | {"train-cls", "make-seeds"}
    assert of(result, "instances").files == 4 * 2


@pytest.mark.slow
def test_parts_of_masks_that_were_made_anew_otherwise_are_left_out(tmp_path):
    root = tmp_path / "root"
    make_run(root, method="cam")
    walk(root / "data", root / "run", "irn")
    flags = {"dataset": "custom", "data_root": root / "data", "refine": "none", "threshold": "0.4", "overwrite": True}
    make_masks.run(resolve(MakeMasksSettings, flags=flags), Run.open(root / "run"), SilentReporter())
    result = again(root)
    assert result.identical
    assert [s.stage for s in result.stages] == ["train-cls", "make-seeds", "make-masks"]


def take_the_last(patch):
    """Let what comes last in line be chosen, of few sizes: plain CAM; and train for one epoch."""
    patch.setattr(seed_choice, "clearly_better", lambda one, known: True)
    patch.setattr(families, "SIDES", ((32,), (48,)))
    patch.setattr("recam_cli.core.settings.train_cls.MOST_EPOCHS", 1)


@pytest.fixture(scope="module")
def chosen(tmp_path_factory):
    """Give the folder of a run as the preset small makes it."""
    place = tmp_path_factory.mktemp("chosen")
    root = make_custom(place / "data", 4, splits={"train": range(3), "val": range(3, 4), "all": range(4)})
    data = {"dataset": "custom", "data_root": root, "workers": 0, "device": "cpu", "precision": "fp32"}
    small = {"probe_sides": (32,), "crop": 32, "long_side": (32, 48), "batch_size": 2}
    recipe = {**preset_values("small", "custom", "train-cls"), **small}
    training = resolve(TrainClsSettings, flags=data, preset=recipe)
    assert (training.settings.method, training.settings.start, training.settings.epochs) == ("auto", "probe", None)
    with pytest.MonkeyPatch.context() as patch:
        take_the_last(patch)
        train_cls.run(training, place / "run", SilentReporter())
        run, seeds = Run.open(place / "run"), {"sides": (32,), "choose": True, "split": "all"}
        make_seeds.run(resolve(MakeSeedsSettings, flags=data, preset=seeds), run, SilentReporter())
        masks = {"refine": "crf", "split": "all"}
        make_masks.run(resolve(MakeMasksSettings, flags={**data, **masks}), Run.open(run.path), SilentReporter())
    return place


@pytest.fixture
def chosen_run(chosen, tmp_path, monkeypatch):
    """Give a folder with a copy of that run, to be repeated by the same choice; the data stay where they are."""
    take_the_last(monkeypatch)
    shutil.copytree(chosen / "run", tmp_path / "run")
    return tmp_path


def test_a_run_whose_seeds_were_chosen_is_repeated_by_the_same_choice(chosen_run):
    entry = Run.open(chosen_run / "run").require("make-seeds")
    assert (entry.notes["method"], entry.settings["sides"], entry.settings["split"]) == ("cam", [48], "all")
    result = again(chosen_run)
    assert result.identical and [s.stage for s in result.stages] == ["train-cls", "make-seeds", "make-masks"]
    repeated = Run.open(chosen_run / "run-rerun").require("make-seeds")
    assert (repeated.settings, repeated.fingerprint) == (entry.settings, entry.fingerprint)
    assert repeated.notes["choice"] == entry.notes["choice"]
    assert again(chosen_run).kept == 3


def test_a_choice_that_comes_out_otherwise_is_compared_and_kept_as_a_repetition(chosen_run, monkeypatch):
    monkeypatch.setattr(seed_choice, "clearly_better", lambda one, known: False)
    assert again(chosen_run).failed == ("make-seeds", "make-masks")
    assert again(chosen_run).kept == 3


@pytest.mark.parametrize(
    ("at", "moment"), [(2, "step"), pytest.param(20, "half", marks=pytest.mark.slow)], ids=["step", "fsync"]
)
def test_an_interrupted_repetition_goes_on_and_ends_the_same(own, at, moment):
    assert drive(own, "rerun", "run", "--run", "again", kill_at=at, moment=moment).killed
    ended = drive(own, "rerun", "run", "--run", "again")
    assert ended.code == 0, ended.text
    assert "all is identical" in ended.text and "train-cls" in ended.text
    files = [left_by(own / name)["files"] for name in ("run", "again")]
    assert files[0] == files[1]


def test_on_the_command_line(own):
    flip(own / "run" / "classifier" / "cam.safetensors")
    edit(own, lambda stages: stages.pop("make-seeds"))
    done = recam("rerun", own / "run", "--json", cwd=own)
    assert done.code == 5
    stage = done.json["stages"][0]
    assert (stage["stage"], stage["differing"], stage["names"]) == ("train-cls", 1, ["classifier/cam.safetensors"])
    assert stage["largest"] == pytest.approx(0.25, rel=1e-6)  # with other threads than then it would be more
    assert "differs from" in done.err and "train-cls (classifier/cam.safetensors)" in done.err
    make_custom(own / "data", 9)
    done = recam("rerun", own / "run", cwd=own)
    assert (done.code, "changed since" in done.err, done.out) == (4, True, "")
