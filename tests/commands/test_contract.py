"""What every command promises: streams, exit codes, one-line errors, quick help."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from recam_cli import __version__
from recam_cli.commands import COMMANDS
from tests.helpers.command_line import recam
from tests.helpers.kills import call
from tests.helpers.tiny_data import make_custom
from tests.helpers.tiny_run import record_classifier

NAMES = list(COMMANDS)


def _one_line(outcome):
    lines = [line for line in outcome.err.splitlines() if line.startswith("recam: ")]
    assert len(lines) == 1
    assert "Traceback" not in outcome.err
    return lines[0]


def test_help_lists_every_command():
    outcome = recam("--help")
    assert outcome.code == 0
    for name in NAMES:
        assert name in outcome.out
    assert "Exit codes" in outcome.out


def test_version():
    assert recam("--version").out == f"recam {__version__}\n"


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_help_with_an_example_and_its_options(name):
    from typer.testing import CliRunner

    from recam_cli.app import build_app

    outcome = CliRunner().invoke(
        build_app(name), [name, "--help"], env={"NO_COLOR": "1", "COLUMNS": "160", "TERM": "dumb"}
    )
    assert outcome.exit_code == 0
    assert f"recam {name}" in outcome.output
    assert "--json" in outcome.output


def test_start_up_imports_nothing_heavy():
    code = (
        "import sys; from recam_cli.app import build_app; build_app(); "
        "print([m for m in ('torch', 'numpy', 'cv2', 'PIL', 'pydantic', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["make-seeds", "--nonsense"], "--nonsense"),
        (["no-such-command"], "no-such-command"),
        (["make-masks", "--refine", "magic"], "magic"),
    ],
)
def test_usage_errors_exit_2_and_name_the_word(arguments, word):
    outcome = recam(*arguments)
    assert outcome.code == 2
    assert word in outcome.err
    assert outcome.out == ""


def test_values_out_of_range_exit_2(tmp_path):
    outcome = call("train-cls", "--crop", "3", cwd=tmp_path)
    assert outcome.code == 2
    assert "--crop" in _one_line(outcome)
    assert "smallest" in outcome.err


def test_without_data_the_message_says_what_to_put_where(tmp_path):
    outcome = call("train-cls", "--dataset", "voc", cwd=tmp_path)
    assert outcome.code == 3
    line = _one_line(outcome)
    assert "VOCdevkit/VOC2012" in line
    assert "--data-root" in line
    assert "--download" in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["make-seeds", "make-masks", "train-seg", "evaluate", "status"])
def test_without_a_run_the_message_says_how_to_get_one(tmp_path, name):
    outcome = call(name, cwd=tmp_path)
    assert outcome.code == 4
    assert "recam train-cls" in _one_line(outcome)


def test_config_files_are_read_and_their_typos_answered(tmp_path):
    config = tmp_path / "my.toml"
    config.write_text("[train-cls]\nepochs = 3\nlong-side = [100, 200]\n")
    outcome = call("train-cls", "--config", config, "--epochs", "2", "--print-config", cwd=tmp_path)
    assert outcome.code == 0
    lines = {line.split(" = ")[0]: line for line in outcome.out.splitlines() if " = " in line}
    assert "# flag" in lines["epochs"] and lines["epochs"].startswith("epochs = 2")
    assert "# file" in lines["long_side"]
    assert "# default" in lines["momentum"]
    config.write_text("[train-cls]\nepoch = 3\n")
    outcome = call("train-cls", "--config", config, cwd=tmp_path)
    assert outcome.code == 2
    assert "Did you mean epochs?" in _one_line(outcome)


def test_printed_config_is_itself_a_config(tmp_path):
    first = call("train-cls", "--print-config", "--dataset", "custom", cwd=tmp_path)
    (tmp_path / "again.toml").write_text(first.out)
    again = call("train-cls", "--print-config", "--config", tmp_path / "again.toml", cwd=tmp_path)
    assert again.code == 0
    strip = [line.split(" #")[0].strip() for line in first.out.splitlines() if not line.startswith("#")]
    assert [line.split(" #")[0].strip() for line in again.out.splitlines() if not line.startswith("#")] == strip


def test_a_number_that_is_left_to_the_data_survives_being_printed_and_read_under_another_preset(tmp_path):
    first = call("train-cls", "--print-config", "--preset", "small", cwd=tmp_path)
    assert 'epochs = "auto"' in first.out
    (tmp_path / "again.toml").write_text(first.out)
    again = call("train-cls", "--print-config", "--config", tmp_path / "again.toml", "--preset", "voc", cwd=tmp_path)
    values = [[line.split(" #")[0].strip() for line in out.splitlines()] for out in (first.out, again.out)]
    assert values[0] == values[1]


def test_json_goes_alone_to_stdout_even_when_problems_end_the_command(tmp_path):
    root = make_custom(tmp_path / "photos")
    next((root / "JPEGImages").iterdir()).write_bytes(b"broken")
    outcome = call("check-data", "--dataset", "custom", "--data-root", root, "--json")
    assert outcome.code == 3
    assert any("JPEGImages" in problem["file"] for problem in outcome.json["problems"])


def test_a_closed_pipe_is_silent_and_exits_141(tmp_path):
    root = make_custom(tmp_path / "photos")
    command = f"{sys.executable} -m recam_cli check-data --dataset custom --data-root {root} --quiet"
    for option in ("", " --json"):
        pipe = f"{command}{option} | true; exit ${{PIPESTATUS[0]}}"
        done = subprocess.run(["bash", "-c", pipe], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("arguments", ["--help", "--version", "status --help"])
def test_help_into_a_closed_pipe_or_onto_a_full_disk_is_no_unexpected_error(arguments):
    command = f"{sys.executable} -m recam_cli {arguments}"
    pipe = f"{command} | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", f"sleep 0.1; {pipe}"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) in ((141, ""), (0, ""))  # 0 where all was written before `true` ended
    if Path("/dev/full").exists():
        done = subprocess.run(["bash", "-c", f"{command} > /dev/full"], capture_output=True, text=True, check=False)
        assert (done.returncode, "No space left on device" in done.stderr) == (4, True)
        assert "unexpected" not in done.stderr


def test_closed_streams_change_no_result_and_no_file_takes_their_place(tmp_path):
    root = make_custom(tmp_path / "photos")
    command = f"{sys.executable} -m recam_cli check-data --dataset custom --data-root {root}"
    for closed, (shown, told) in {"<&-": (True, True), ">&-": (False, True), "2>&-": (True, False)}.items():
        done = subprocess.run(["bash", "-c", f"{command} {closed}"], capture_output=True, text=True, check=False)
        assert (done.returncode, bool(done.stdout), bool(done.stderr)) == (0, shown, told)
    everything = subprocess.run(["bash", "-c", f"{command} <&- >&- 2>&-; exit $?"], check=False)
    assert everything.returncode == 0
    wrong = subprocess.run(["bash", "-c", f"{command}/none >&-"], capture_output=True, text=True, check=False)
    assert (wrong.returncode, wrong.stderr.count("\n")) == (3, 1)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_stderr_that_cannot_be_written_changes_no_exit_code(tmp_path):
    root = make_custom(tmp_path / "photos")
    command = f"{sys.executable} -m recam_cli check-data --dataset custom --data-root {root}"
    for more, code in {"2>/dev/full": 0, ">/dev/full 2>/dev/full": 4, "--split nonsense 2>/dev/full": 3}.items():
        done = subprocess.run(["bash", "-c", f"{command} {more}"], capture_output=True, text=True, check=False)
        assert done.returncode == code, more
    done = subprocess.run(["bash", "-c", f"{command} 2> >(exec 0<&-)"], capture_output=True, text=True, check=False)
    assert (done.returncode, bool(done.stdout)) == (0, True)  # its reader went away


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_training_with_their_exit_code_and_no_orphans(tmp_path, number, code):
    root = make_custom(tmp_path / "photos", n=12)
    arguments = ["train-cls", "--dataset", "custom", "--data-root", root]
    arguments += ["--backbone", "mobilenet_v2", "--weights", "none", "--probe-sides", "32"]
    arguments += ["--epochs", "500", "--crop", "64", "--batch-size", "2", "--run", tmp_path / "run"]
    process = subprocess.Popen(
        [sys.executable, "-m", "recam_cli", *map(str, arguments)],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    log = tmp_path / "run" / "metrics.jsonl"
    while not (log.exists() and '"loss"' in log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert "interrupted. Go on with: recam train-cls --dataset custom" in err
    assert "--resume" in err
    assert "Traceback" not in err
    status = call("status", "--run", tmp_path / "run", "--json")
    assert status.json["next_command"] == f"recam train-cls --resume --run {tmp_path / 'run'}"
    assert not _members_of_group(process.pid)
    assert '"interrupted"' in (tmp_path / "run" / "manifest.json").read_text()


def _members_of_group(group):
    for _ in range(50):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return False
        time.sleep(0.1)
    return True


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["status", "--run", "a" * 300], 4),
        (["status", "--run", "a/" * 3000], 4),
        (["train-cls", "--config", "a" * 300], 2),
        (["check-data", "--data-root", "a" * 300], 3),
        (["check-data", "--dataset", "folder", "--data-root", ".", "--labels", "a" * 300 + ".csv"], 3),
    ],
)
def test_paths_that_no_system_takes_are_told_in_one_line(tmp_path, arguments, code):
    outcome = call(*arguments, cwd=tmp_path)
    assert "unexpected" not in outcome.err and "aaa" in outcome.err.replace("a/", "a")
    assert outcome.code == code, outcome.err


@pytest.mark.parametrize("command", ["run", "train-cls", "make-seeds", "make-masks", "train-seg", "predict"])
def test_memory_that_is_no_size_is_a_usage_error(command, tmp_path):
    make_custom(tmp_path / "photos", 2)
    record_classifier(tmp_path / "runs" / "a")
    places = {"run": [tmp_path / "photos"], "predict": [tmp_path / "photos"]}.get(command, [])
    outcome = recam(command, *places, "--memory", "3XB", cwd=tmp_path)
    assert outcome.code == 2
    assert outcome.err.strip() == "recam: --memory: '3XB' is no size. Say auto, or a size such as 3GB, 1.5GiB or 800MB"
