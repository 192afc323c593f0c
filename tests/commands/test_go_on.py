"""The command that an interruption or status names does go on, followed literally, and in the run that was meant."""

from __future__ import annotations

import json
import shlex
import signal

import pytest

from tests.helpers.kills import drive
from tests.helpers.tiny_data import make_custom
from tests.helpers.tiny_run import make_run

TRAIN = "train-cls --dataset custom --data-root data --method cam --backbone mobilenet_v2 --weights none --epochs 1"
TRAIN += " --probe-sides 32"
TRAIN = f"{TRAIN} --crop 32 --batch-size 2 --workers 0 --device cpu --lr 0.01 --lr-fc1 0.01 --val-split none".split()


def words_of(line):
    """Return the arguments of the command at the end of a line."""
    program, *words = shlex.split(line[line.index("recam ", line.index(": ")) :])
    assert program == "recam"
    return words


def last_line(ended):
    return ended.text.splitlines()[-1].replace("recam: ", "", 1)


def stages_of(run):
    return json.loads((run / "manifest.json").read_text())["stages"]


@pytest.fixture(scope="module")
def older(tmp_path_factory):
    """Give a folder with data and a killed training in runs/older."""
    root = tmp_path_factory.mktemp("older")
    make_custom(root / "data", 4)
    assert drive(root, *TRAIN, "--run", "runs/older", kill_at=1).killed
    return root


@pytest.mark.parametrize(
    ("moment", "resumes"), [("opened", False), ("step", True)], ids=["before the run is there", "in its first step"]
)
def test_an_interrupted_training_goes_on_in_its_own_run_and_in_no_other(older, moment, resumes):
    before = (older / "runs" / "older" / "manifest.json").read_bytes()
    ended = drive(older, *TRAIN, kill_at=1, moment=moment, number=signal.SIGINT)
    assert ended.code == 130
    words = words_of(last_line(ended))
    assert words[: len(TRAIN)] == TRAIN
    assert ("--resume" in words) == ("--run" in words) == resumes
    again = drive(older, *words)
    assert again.code == 0, again.text
    assert (older / "runs" / "older" / "manifest.json").read_bytes() == before
    if resumes:
        assert stages_of(older / words[words.index("--run") + 1])["train-cls"]["state"] == "done"


def test_seeds_that_were_killed_go_on_by_what_status_says(tmp_path):
    make_run(tmp_path, masks=False, method="cam")
    begun = ["make-seeds", "--scales", "0.5,1.0", "--workers", "0", "--device", "cpu"]
    assert drive(tmp_path, *begun, "--run", "run", kill_at=2, moment="opened", within="seeds").killed
    ended = drive(tmp_path, "status", "--run", "run")
    assert words_of(last_line(ended)) == [*begun, "--run", "run"]
    again = drive(tmp_path, *words_of(last_line(ended)))
    assert again.code == 0, again.text


def test_a_run_whose_name_has_a_line_break_is_named_as_a_shell_reads_it(tmp_path):
    make_custom(tmp_path / "data", 4)
    ended = drive(tmp_path, *TRAIN, "--run", "new\nline", kill_at=1, number=signal.SIGINT)
    assert last_line(ended).endswith(r"--run $'new\012line' --resume")
    ended = drive(tmp_path, "status", "--run", "new\nline")
    assert last_line(ended) == r"next: recam train-cls --resume --run $'new\012line'"
