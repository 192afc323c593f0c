"""The first signal finishes the step and saves, the second stops at once, and no worker outlives its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.helpers.kills import drive, left_by
from tests.helpers.pool_work import is_alive, wait_until
from tests.stages.test_killed_items import STAGES, begin, command_of, items, prepare

NUMBERS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
_STEP = """
import sys, time
from recam_cli import __main__
from recam_cli.core.training.loop import Loop
step = Loop._step
def slow(self, *arguments):
    print("in a step", flush=True)
    time.sleep(60)
Loop._step = slow
sys.argv[0] = "recam"
__main__.main()
"""
_SWALLOWED = """
import os, signal, sys
from recam_cli import __main__, app
def build_app(only):
    try:  # as some libraries do around their imports
        os.kill(os.getpid(), NUMBER)
    except BaseException:
        pass
    raise AttributeError("half imported")
app.build_app = build_app
if IGNORED:
    signal.signal(NUMBER, signal.SIG_IGN)
sys.argv = ["recam", "train-cls", "--run", "a b"]
__main__.main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_before_work_begins_ends_the_process_whatever_an_import_swallows(number):
    code = _SWALLOWED.replace("NUMBER", str(int(number))).replace("IGNORED", "False")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    line = "recam: interrupted. Go on with: recam train-cls --run 'a b'\n"
    assert (done.returncode, done.stdout, done.stderr) == (128 + number, "", line)


def test_a_signal_once_all_is_done_ends_the_process_without_a_traceback():
    end = "import atexit, os, sys; atexit.register(os.kill, os.getpid(), 15); from recam_cli import __main__; "
    code = f"{end} sys.argv = ['recam', '--version']; __main__.main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.startswith("recam "), done.stderr) == (-signal.SIGTERM, True, "")


def test_a_hangup_that_nohup_ignores_stays_ignored():
    code = _SWALLOWED.replace("NUMBER", str(int(signal.SIGHUP))).replace("IGNORED", "True")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, "half imported" in done.stderr) == (1, True)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return prepare(tmp_path_factory.mktemp("prepared"))


@pytest.mark.parametrize(
    ("stage", "number", "code"),
    [
        pytest.param("make-seeds", *NUMBERS[1], marks=pytest.mark.slow),
        ("make-masks by cuts", *NUMBERS[0]),
        pytest.param("predict", *NUMBERS[1], marks=pytest.mark.slow),
    ],
)
def test_a_signal_ends_an_item_stage_after_the_item_and_its_command_goes_on(prepared, tmp_path, stage, number, code):
    whole, stopped = (begin(prepared, tmp_path / name, stage) for name in ("whole", "stopped"))
    assert drive(whole, *command_of(stage)).code == 0

    ended = drive(stopped, *command_of(stage), kill_at=3, moment="opened", within=STAGES[stage][1], number=number)

    assert ended.code == code
    assert ended.text.splitlines()[-1].startswith(f"recam: interrupted. Go on with: recam {stage.split()[0]} ")
    assert "Traceback" not in ended.text
    assert 0 < len(items(stopped, stage)) < len(items(whole, stage))
    assert list(stopped.rglob("*.partial")) == []
    assert drive(stopped, *command_of(stage)).code == 0
    assert left_by(stopped / "run") == left_by(whole / "run")


def training(prepared, workers):
    """Start a training whose steps take a minute; return once it is in one."""
    command = ["train-cls", "--dataset", "custom", "--data-root", str(prepared / "data"), "--backbone", "mobilenet_v2"]
    command += ["--weights", "none", "--crop", "32", "--batch-size", "2", "--workers", str(workers), "--device", "cpu"]
    command += ["--probe-sides", "32", "--run", str(prepared / f"slow-{time.monotonic_ns()}"), "--quiet"]
    process = subprocess.Popen(
        [sys.executable, "-c", _STEP, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout.readline() == "in a step\n", process.stderr.read()
    return process


def workers_of(process):
    found = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=False).stdout
    return [int(word) for word in found.split()]


@pytest.mark.parametrize(("number", "code"), NUMBERS)
def test_the_second_signal_stops_at_once(prepared, number, code):
    process = training(prepared, workers=2)
    workers = workers_of(process)
    assert len(workers) == 2
    process.send_signal(number)
    with pytest.raises(subprocess.TimeoutExpired):  # the first waits for the end of the step
        process.wait(1)
    process.send_signal(number)
    assert process.wait(2) == -number  # which shells show as `code`
    assert 128 + number == code
    assert wait_until(lambda: not any(map(is_alive, workers)), seconds=3)


def test_workers_of_a_killed_training_end_with_it(prepared):
    process = training(prepared, workers=2)
    workers = workers_of(process)
    assert len(workers) == 2
    process.kill()
    process.wait()
    assert wait_until(lambda: not any(map(is_alive, workers)), seconds=3)


def test_of_two_processes_in_one_run_one_works_and_the_other_exits_4_at_once(prepared):
    process = training(prepared, workers=0)
    run = process.args[process.args.index("--run") + 1]
    begun = time.monotonic()
    other = subprocess.run(
        [sys.executable, "-m", "recam_cli", "report", "--run", run], capture_output=True, text=True, check=False
    )
    also = drive(prepared, *process.args[3:])
    took = time.monotonic() - begun
    assert also.code == 4
    assert f"in use by process {process.pid} on {os.uname().nodename}" in also.text
    assert other.returncode == 4
    assert took < 20  # two starts of Python; neither waits
    process.kill()
    process.wait()
    assert "killed" in drive(prepared, "status", "--run", run).text
