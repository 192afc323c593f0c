"""What a stage wrote is what later stages read: a changed bit is found before anything is made of it."""

from __future__ import annotations

import shutil
import subprocess
from typing import Any

import numpy as np
import pytest
import torch
from typer.main import get_command

from recam_cli.app import build_app
from recam_cli.core.cams.store import read_seed
from recam_cli.core.errors import CheckError, DataError, ExitCode, RunError
from recam_cli.core.models.boundary_files import load_boundary
from recam_cli.core.models.branch_files import AFFINITY, BOUNDARY, load_branch, save_branch
from recam_cli.core.models.classifier_files import load_classifier, run_classifier
from recam_cli.core.models.run_models import run_segmenter
from recam_cli.core.models.segmenter_files import load_segmenter
from recam_cli.core.models.walk_view import walked_mask
from recam_cli.core.report.run_figures import evaluations
from recam_cli.core.reporter import SilentReporter
from recam_cli.core.runs.run import Run
from recam_cli.core.runs.verify import Fault, Verification, verify
from recam_cli.core.settings.make_seeds import MakeSeedsSettings
from recam_cli.core.settings.resolve import resolve
from recam_cli.stages import make_seeds
from tests.helpers.damage import flip_bit
from tests.helpers.tiny_run import add_segmenter, evaluate_run, make_run
from tests.helpers.walk_run import walk

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Give a run with everything that is trained, walked masks among it."""
    root = tmp_path_factory.mktemp("made")
    run = make_run(root)
    add_segmenter(run)
    walk(root / "data", run.path, "psa")
    walk(root / "data", run.path, "irn")
    evaluate_run(Run.open(run.path))
    return run.path


@pytest.fixture
def run(made, tmp_path):
    return Run.open(shutil.copytree(made, tmp_path / "run"))


READERS = {
    "classifier/recam.safetensors": lambda run: run_classifier(run, "recam", CPU),
    "segmenter/deeplabv2.safetensors": lambda run: run_segmenter(run, "", CPU),
    "evaluation/seeds-train.json": evaluations,
}
LOADERS = {
    "classifier/recam.safetensors": lambda path: load_classifier(path, CPU),
    "segmenter/deeplabv2.safetensors": lambda path: load_segmenter(path, CPU),
    "irn/irn.safetensors": lambda path: load_boundary(path, CPU),
    "psa/psa.safetensors": lambda path: load_branch(path, AFFINITY, CPU),
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("fault", ["flipped", "missing", "another"])
def test_a_file_that_has_changed_since_is_refused_with_4_and_a_remedy(run, name, fault):
    READERS[name](run)
    path = run.path / name
    if fault == "flipped":
        flip_bit(path)
    elif fault == "missing":
        path.unlink()
    else:
        path.write_bytes((run.path / "classifier" / "cam.safetensors").read_bytes())
    if (fault, name) == ("missing", "evaluation/seeds-train.json"):  # only its curve is left out of a report
        assert all(one.curve is None for one in evaluations(run))
        return
    with pytest.raises(RunError, match="is missing" if fault == "missing" else "has changed since") as caught:
        READERS[name](run)
    assert caught.value.exit_code == ExitCode.BAD_RUN and caught.value.remedy
    assert ("--overwrite" in caught.value.remedy) == name.startswith("segmenter")


def test_a_stage_refuses_a_changed_classifier_and_makes_nothing(run, made):
    flip_bit(run.path / "classifier" / "recam.safetensors")
    shutil.rmtree(run.path / "seeds")
    flags = {"dataset": "custom", "data_root": made.parent / "data", "scales": "1", "device": "cpu", "workers": 0}
    with pytest.raises(RunError, match=r"recam\.safetensors has changed since train-cls wrote it"):
        make_seeds.run(resolve(MakeSeedsSettings, flags=flags), run, SilentReporter())
    assert not (run.path / "seeds").exists()


@pytest.mark.parametrize("name", LOADERS)
def test_files_of_tensors_taken_out_of_a_run_tell_damage_themselves(made, tmp_path, name):
    path = tmp_path / "moved.safetensors"
    shutil.copy(made / name, path)
    LOADERS[name](path)
    size = path.stat().st_size
    header = int.from_bytes(path.read_bytes()[:8], "little")
    for at in (8 + header, 8 + header + (size - header) // 3, size - 1):
        flip_bit(path, at=at)
        with pytest.raises(
            DataError, match=r"moved\.safetensors: damaged weights file: its content does not match"
        ) as e:
            LOADERS[name](path)
        assert e.value.exit_code == ExitCode.BAD_DATA
        flip_bit(path, at=at)
    LOADERS[name](path)


def test_another_network_is_not_taken_for_the_one_that_made_the_masks(run):
    assert walked_mask(run, "", CPU, "fp32") is not None
    path = run.path / "irn" / "irn.safetensors"
    net = load_boundary(path, CPU)
    net.reset(torch.Generator().manual_seed(9))
    save_branch(path, BOUNDARY, net)
    with pytest.raises(RunError, match=r"irn\.safetensors has changed since the run's masks were made with it"):
        walked_mask(run, "", CPU, "fp32")


def test_a_changed_boundary_network_is_trained_anew_and_this_is_said(run, made):
    whole = (run.path / "irn" / "irn.safetensors").read_bytes()
    flip_bit(run.path / "irn" / "irn.safetensors")
    walk(made.parent / "data", run.path, "irn")
    assert (run.path / "irn" / "irn.safetensors").read_bytes() == whole


def test_verify_finds_nothing_in_a_whole_run_and_touches_nothing(run):
    before = {path: path.stat().st_mtime_ns for path in run.path.rglob("*")}
    found = verify(run, SilentReporter())
    assert found.faults == () and found.files > 15
    found.raise_on_faults()
    assert {path: path.stat().st_mtime_ns for path in run.path.rglob("*")} == before


@pytest.mark.parametrize(
    ("name", "fault", "reason"),
    [
        ("classifier/cam.safetensors", "flipped", "changed"),
        ("masks/img_001.png", "flipped", "changed"),
        ("seeds/img_002.npz", "missing", "missing"),
        ("walked/img_000.npz", "flipped", "changed"),
        ("confidence/index.csv", "flipped", "changed"),
    ],
)
def test_verify_names_the_file_and_exits_5(run, name, fault, reason):
    flip_bit(run.path / name) if fault == "flipped" else (run.path / name).unlink()
    found = verify(run, SilentReporter())
    assert [(one.file, one.reason) for one in found.faults] == [(str(run.path / name), reason)]
    with pytest.raises(CheckError, match=f"1 of {found.files} files .*: {run.path / name} [(]{reason}[)]") as caught:
        found.raise_on_faults()
    assert caught.value.exit_code == ExitCode.CHECK_FAILED and caught.value.remedy


def test_the_remedy_is_a_command_that_takes_these_options(tmp_path):
    remedies = {
        "report": "recam report",
        "make-seeds-cam": "recam make-seeds --method cam",
        "train-psa": "recam make-masks",
        "instances-cam": "recam make-masks --method cam",
        "train-seg-truth": "recam train-seg --labels truth --overwrite",
        "evaluate-masks-cam-train": "recam evaluate --of masks --method cam --split train",
        "evaluate-segmentation-val": "recam evaluate --of segmentation --split val",
    }
    made = Run.create(tmp_path / "run")
    commands: Any = getattr(get_command(build_app()), "commands", None)
    for stage, command in remedies.items():
        faults = tuple(Fault(stage, name, "changed") for name in "ab")
        with pytest.raises(CheckError) as caught:
            Verification(made, 2, faults).raise_on_faults()
        assert caught.value.remedy == f"Restore them, or make them anew: {command} --run {made.path}"
        name, *options = command.split()[1:]
        commands[name].make_context(name, options)
    faults = (Fault("report", "a", "changed"), Fault("train-cls", "b", "missing"))
    with pytest.raises(CheckError, match=r"train a new run with: recam train-cls$"):
        Verification(made, 2, faults).raise_on_faults()


@pytest.mark.parametrize("fault", ["flipped", "missing"])
def test_verify_trusts_no_list_of_hashes_but_the_manifests(run, fault):
    sums = run.path / "masks" / ".png.sha256"
    flip_bit(run.path / "masks" / "img_001.png")
    if fault == "flipped":  # and let the list agree with the changed mask
        from recam_cli.core.runs.sums import write_sums

        write_sums(sums.parent, sorted(sums.parent.glob("*.png")), ".png")
    else:
        sums.unlink()
    (one,) = verify(run, SilentReporter()).faults
    assert (one.file, one.reason) == (str(run.path / "masks"), "its list of hashes is missing or changed")


def test_many_faults_are_counted_and_the_first_named(run):
    for path in (run.path / "masks").glob("*.png"):
        path.unlink()
    for path in (run.path / "seeds").glob("*.npz"):
        path.unlink()
    with pytest.raises(CheckError, match=r"^8 of \d+ files .* and 3 more\. .*make-seeds .*make-masks ") as caught:
        verify(run, SilentReporter()).raise_on_faults()
    assert len(str(caught.value)) < 1500


def test_the_lists_of_hashes_are_what_sha256sum_reads(run):
    if shutil.which("sha256sum") is None:
        pytest.skip("no sha256sum here")
    done = subprocess.run(["sha256sum", "--check", "--quiet", ".npz.sha256"], cwd=run.path / "seeds", check=False)
    assert done.returncode == 0


def test_a_flipped_bit_in_a_seed_is_an_error_where_it_is_read(run):
    path = run.path / "seeds" / "img_001.npz"
    whole, found = read_seed(path), 0
    for at in range(0, path.stat().st_size, 7):
        flip_bit(path, at=at)
        try:
            seed = read_seed(path)
            assert np.array_equal(seed.maps, whole.maps) and np.array_equal(seed.classes, whole.classes), at
        except DataError:
            found += 1
        flip_bit(path, at=at)
    assert found
