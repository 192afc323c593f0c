"""`recam run`: one command from a folder of photographs to masks and a report, which goes on where it was stopped."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import subprocess
import sys

import pytest

from recam_cli.core.data.images import write_image
from recam_cli.core.runs.plan import PLAN_NAME
from tests.helpers.command_line import recam
from tests.helpers.kills import drive, left_by
from tests.helpers.layouts import make_coco, make_yolo
from tests.helpers.tiny_data import draw_photo, make_flat, make_folder, make_voc

QUICK = """
[train-cls]
epochs = 1
recam_epochs = 1
crop = 32
probe_sides = [32]
long_side = [32, 48]
batch_size = 2
recam_batch_size = 2
lr = 0.01
lr_fc1 = 0.01
[make-seeds]
scales = [1.0]
[make-masks]
refine = "none"
threshold = 0.3
[train_seg]
epochs = 1
crop = 32
batch_size = 2
crf = false
[report]
images = 1
"""
OPTIONS = ["--config", "quick.toml", "--backbone", "mobilenet_v2", "--weights", "none", "--workers", "0"]
OPTIONS += ["--device", "cpu", "--seed", "6"]
STAGES = ["check-data", "train-cls", "make-seeds", "make-masks", "train-seg", "report"]


def place_with(folder, make=make_folder, **how):
    make(folder / "photos", **how)
    (folder / "quick.toml").write_text(QUICK)
    return folder


def result_of(ended):
    """Return the JSON that a driven command printed after what it told."""
    return json.loads(ended.text[ended.text.index("\n{\n") :]) if "\n{\n" in ended.text else json.loads(ended.text)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A folder with photographs and their finished run, and what the command printed."""
    folder = place_with(tmp_path_factory.mktemp("done"))
    return folder, drive(folder, "run", "photos", *OPTIONS)


def test_one_command_makes_all_and_says_where_it_is(done):
    folder, ended = done
    assert ended.code == 0, ended.text
    run = folder / "runs" / "photos"
    assert len(list((run / "masks").glob("*.png"))) == 6  # the held-out photographs' masks, too
    for place in ("masks", "segmenter/lraspp.safetensors", "predictions/val", "report.html"):
        assert (run / place).exists()
        assert f"runs/photos/{place}" in ended.text
    stages = json.loads((run / "manifest.json").read_text())["stages"]
    assert [name for name in STAGES[1:] if stages[name]["state"] == "done"] == STAGES[1:]
    assert stages["train-cls"]["sources"]["epochs"] == "file" and stages["train-cls"]["settings"]["seed"] == 6


def test_it_says_first_what_it_recognised_where_the_run_goes_and_how_long_it_takes(done):
    lines = done[1].text.splitlines()
    first = next(k for k, line in enumerate(lines) if "6 photographs" in line)
    assert "3 classes (folder: class folders bus, cat, dog); run runs/photos; about " in lines[first]
    assert first == 0 and lines[1] == "1/6 check-data"
    assert [f"{k}/6 {name}" for k, name in enumerate(STAGES, start=1)] == [x for x in lines if x[1:4] == "/6 "]


def test_the_same_command_again_is_finished_and_changes_nothing(done):
    folder, _ = done
    before = {p: p.stat().st_mtime_ns for p in (folder / "runs").rglob("*")}
    again = drive(folder, "run", "photos", *OPTIONS, "--json")
    assert again.code == 0 and "is finished: nothing is left to do" in again.text
    result = result_of(again)
    assert list(result["stages"]) == STAGES and result["new"] is False
    assert result["run"] == "runs/photos" and result["masks"] == "runs/photos/masks"
    assert result["stages"]["make-seeds"]["images"] == 6
    assert {p: p.stat().st_mtime_ns for p in (folder / "runs").rglob("*")} == before


def test_other_settings_and_other_data_exit_4_with_the_remedy(done, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(done[0], folder)
    ended = drive(folder, "run", "photos", *OPTIONS[:-1], "7")
    assert ended.code == 4
    assert "train-cls was done with other settings: seed 6 → 7. Give those of then" in ended.text
    (folder / "quick.toml").write_text(QUICK.replace("0.3", "0.4"))
    ended = drive(folder, "run", "photos", *OPTIONS)
    assert ended.code == 4 and "make-masks was done with other settings: threshold 0.3 → 0.4" in ended.text
    (folder / "quick.toml").write_text(QUICK)
    write_image(folder / "photos" / "cat" / "new.jpg", draw_photo((1,))[0])
    ended = drive(folder, "run", "photos", *OPTIONS)
    assert ended.code == 4 and "have changed since runs/photos was begun" in ended.text and "--run" in ended.text


def test_what_was_deleted_is_made_again(done, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(done[0], folder)
    mask = next((folder / "runs" / "photos" / "masks").glob("*.png"))
    was = mask.read_bytes()
    mask.unlink()
    ended = drive(folder, "run", "photos", *OPTIONS)
    assert ended.code == 0, ended.text
    assert "4/6 make-masks" in ended.text and "2/6" not in ended.text
    assert mask.read_bytes() == was


MOMENTS = [
    ("step", 2, ""),  # of ReCAM
    pytest.param("step", 1, "", marks=pytest.mark.slow),  # nothing to go on from: it begins anew
    ("opened", 2, "seeds"),
    pytest.param("opened", 3, "masks", marks=pytest.mark.slow),
    ("step", 3, ""),  # the segmenter's
    pytest.param("opened", 1, "val", marks=pytest.mark.slow),  # a prediction
]


@pytest.mark.parametrize(("moment", "at", "within"), MOMENTS)
def test_killed_anywhere_the_same_command_goes_on_and_ends_the_same(done, tmp_path, moment, at, within):
    folder = place_with(tmp_path)
    ended = drive(folder, "run", "photos", *OPTIONS, kill_at=at, moment=moment, within=within)
    assert ended.killed, ended.text
    if at > 1 and within:
        status = drive(folder, "status", "--run", "runs/photos")
        words = shlex.split(status.text.splitlines()[-1].removeprefix("next: "))
        assert words[:3] == ["recam", "run", str(folder / "photos")] and words[-2:] == ["--run", "runs/photos"]
    again = drive(folder, "run", "photos", *OPTIONS)
    assert again.code == 0, again.text
    there, here = (left_by(f / "runs" / "photos")["files"] for f in (done[0], folder))
    assert here == there
    assert "is finished" in drive(folder, "run", "photos", *OPTIONS).text


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_names_the_same_command(done, tmp_path, number, code):
    folder = place_with(tmp_path)
    ended = drive(folder, "run", "photos", *OPTIONS, kill_at=2, number=number)
    assert ended.code == code
    line = ended.text.splitlines()[-1]
    assert line == f"recam: interrupted. Go on with: recam run photos {' '.join(OPTIONS)}"
    assert drive(folder, *shlex.split(line.split("recam ", 1)[1].split("recam ", 1)[-1])).code == 0
    here, there = (left_by(f / "runs" / "photos")["files"] for f in (folder, done[0]))
    assert here == there


def test_photographs_that_nobody_labelled_are_predicted_and_new_ones_next_time(done, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(done[0], folder)
    for name in ("new", "newer"):
        write_image(folder / "photos" / f"{name}.jpg", draw_photo((1,))[0])
        ended = drive(folder, "run", "photos", *OPTIONS, "--json")
        assert ended.code == 0, ended.text
        assert "1 without label" in ended.text or "2 without label" in ended.text
        assert "5/6 predict" in ended.text and "5/6 train-seg" not in ended.text
        unlabelled = folder / "runs" / "photos" / "predictions" / "unlabelled"
        assert (unlabelled / f"{name}.png").is_file()
        assert result_of(ended)["unlabelled"] == "runs/photos/predictions/unlabelled"
    assert "is finished" in drive(folder, "run", "photos", *OPTIONS).text


def test_until_stops_there_and_without_it_the_run_goes_on(tmp_path):
    folder = place_with(tmp_path)
    first = drive(folder, "run", "photos", *OPTIONS, "--until", "make-seeds", "--json")
    assert first.code == 0, first.text
    result = result_of(first)
    assert list(result["stages"]) == STAGES[:3] and result["masks"] is None
    changed = QUICK.replace("threshold = 0.3", "threshold = 0.2")  # of a stage to come: free to change
    (folder / "quick.toml").write_text(changed)
    more = drive(folder, "run", "photos", *OPTIONS, "--until", "make-masks", "--json")
    assert more.code == 0 and result_of(more)["stages"]["make-masks"]["threshold"] == 0.2
    assert "4/4 make-masks" in more.text and "3/4" not in more.text


def test_check_data_alone_leaves_no_run(tmp_path):
    folder = place_with(tmp_path)
    ended = drive(folder, "run", "photos", *OPTIONS, "--until", "check-data")
    assert ended.code == 0 and not (folder / "runs").exists()


def test_faulty_data_end_it_before_a_run_is_made_with_every_fault_told(tmp_path):
    folder = place_with(tmp_path)
    for name in ("cat", "dog"):
        next((folder / "photos" / name).iterdir()).write_bytes(b"broken")
    ended = drive(folder, "run", "photos", *OPTIONS)
    assert ended.code == 3 and ended.text.count("warning: ") >= 2
    assert not (folder / "runs").exists()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda root: make_coco(root, {"train2017": COCO, "val2017": {"v.jpg": [10]}}), "(coco: annotations/"),
        (lambda root: make_yolo(root, YOLO), "(yolo: images/train/"),
        (make_voc, "(voc: JPEGImages/"),
        (make_flat, "(folder: photographs and labels.csv)"),
    ],
    ids=["coco", "yolo", "voc", "table"],
)
def test_other_layouts_come_as_far_as_masks(tmp_path, make, words):
    folder = place_with(tmp_path, make)
    ended = drive(folder, "run", "photos", *OPTIONS, "--until", "make-masks")
    assert ended.code == 0, ended.text
    assert words in ended.text
    assert list((folder / "runs" / "photos" / "masks").glob("*.png"))


COCO = {"a.jpg": [1, 10], "b.jpg": [3], "c.jpg": [1]}
YOLO = {"images/train/a": [0, 1], "images/train/b": [2], "images/train/c": [0], "images/val/d": [1]}


def test_a_named_data_set_is_not_recognised_but_taken_at_its_word(tmp_path):
    folder = place_with(tmp_path, make_voc)
    ended = drive(folder, "run", "--dataset", "voc", "--data-root", "photos", *OPTIONS, "--until", "check-data")
    assert ended.code == 0 and "(voc)" in ended.text
    ended = drive(folder, "run", "photos", "--data-root", "photos")
    assert ended.code == 2 and "PHOTOS and --data-root" in ended.text


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("[train-sge]\n", "unknown table [train-sge]. Did you mean [train-seg]?"),
        ("[make-seeds]\nscale = 1\n", "[make-seeds]: unknown key scale. Did you mean scales?"),
        ("[train-seg]\nepochs = 0\n", "[train-seg]: epochs: 0 is below the smallest allowed value"),
    ],
)
def test_a_config_file_is_read_whole_before_anything_begins(tmp_path, table, says):
    folder = place_with(tmp_path)
    (folder / "quick.toml").write_text(table)
    outcome = recam("run", "photos", "--config", "quick.toml", cwd=folder)
    assert outcome.code == 2 and says in outcome.err
    assert not (folder / "runs").exists()


def test_print_config_shows_every_stage_and_can_be_given_back(tmp_path):
    folder = place_with(tmp_path)
    first = recam("run", "photos", *OPTIONS, "--print-config", cwd=folder)
    assert first.code == 0, first.err
    assert [line for line in first.out.splitlines() if line[0] == "["] == [f"[{name}]" for name in STAGES]
    (folder / "again.toml").write_text(first.out)
    again = recam("run", "photos", "--config", "again.toml", "--print-config", cwd=folder)
    plain = [[line.split(" #")[0].strip() for line in out.splitlines()] for out in (first.out, again.out)]
    assert plain[0] == plain[1]


def test_another_run_and_other_files_are_left_alone(tmp_path):
    folder = place_with(tmp_path)
    (folder / "runs" / "photos").mkdir(parents=True)
    (folder / "runs" / "photos" / "mine.txt").touch()
    ended = drive(folder, "run", "photos", *OPTIONS)
    assert ended.code == 4 and "exists already, but not by this command" in ended.text


def test_a_damaged_plan_is_one_line(done, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(done[0], folder)
    for content in ("{", "[]", '{"command": 3}'):
        (folder / "runs" / "photos" / PLAN_NAME).write_text(content)
        ended = drive(folder, "run", "photos", *OPTIONS)
        assert ended.code == 4 and "run.json: damaged" in ended.text


def test_without_photographs_it_says_how_to_name_them(tmp_path):
    outcome = recam("run", cwd=tmp_path)
    assert outcome.code == 2 and "recam run PHOTOS" in outcome.err
    outcome = recam("run", "gone", cwd=tmp_path)
    assert outcome.code == 3 and "no such folder" in outcome.err


def test_usage_errors_and_help_come_without_torch(tmp_path):
    folder = place_with(tmp_path)
    code = "import sys; from recam_cli import __main__\ntry:\n    __main__.main()\nexcept SystemExit:\n    "
    code += "print('torch' in sys.modules)"
    for words in (["run", "--help"], ["run", "photos", "--config", "quick.toml", "--print-config"], ["run", "gone"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *words], cwd=folder, capture_output=True, text=True, check=False
        )
        assert done.stdout.splitlines()[-1] == "False", words
