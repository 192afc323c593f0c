"""Commands in processes of their own, which may be killed at a chosen moment (SIGKILL), and what they leave.

Processes are forked from a server that has torch loaded already, so that each starts in a moment.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.helpers import crash
from tests.helpers.command_line import COLOURED, PLAIN, Outcome, outcome_of

server = multiprocessing.get_context("forkserver")
server.set_forkserver_preload(["tests.helpers.preloaded"])
_TIMINGS = ("started", "created", "seconds")
_OF_THE_CALL = ("workers", "made", "kept")
Moment = Literal["step", "opened", "half", "written", "synced", "replaced", "folder synced"]


@dataclass(frozen=True)
class Ended:
    """How a process ended: the exit code, −9 if killed, and all it printed."""

    code: int
    text: str

    @property
    def killed(self) -> bool:
        return self.code == -signal.SIGKILL


def drive(
    folder: Path,
    *arguments: object,
    kill_at: int | None = None,
    moment: Moment = "step",
    within: str = "",
    number: int = signal.SIGKILL,
    out: Path | None = None,
    seconds: float | None = None,
) -> Ended:
    """Run `recam` with the arguments in `folder`; send the signal at the `kill_at`-th moment (from 1), if it comes.

    With `seconds`, it is killed so long after its start instead, whatever it does then, its workers a moment later.

    Moments: "step", before a step of a training; those of a write, as in `tests.helpers.crash`.
    """
    out = out or folder / "printed.txt"
    words = [str(a) for a in arguments]
    process = server.Process(target=_work, args=(str(folder), words, str(out), kill_at, moment, within, int(number)))
    process.start()
    process.join(120 if seconds is None else seconds)
    late = process.is_alive()
    if late and seconds is not None:
        process.kill()
        process.join()
        time.sleep(0.2)
        late = False
    with suppress(ProcessLookupError):  # what a killed process leaves: its workers
        os.killpg(process.pid or 0, signal.SIGKILL)
    process.join()
    if late:
        raise TimeoutError(words)
    assert process.exitcode is not None
    return Ended(process.exitcode, out.read_text(encoding="utf-8"))


def call(*arguments: object, cwd: Path | None = None, seconds: float = 300) -> Outcome:
    """Run `recam` as `tests.helpers.command_line.recam` does, but forked, so that torch need not be loaded."""
    words = [str(a) for a in arguments]
    with tempfile.TemporaryDirectory() as folder:
        out, err = (Path(folder, name) for name in ("out", "err"))
        process = server.Process(target=_called, args=(str(cwd or Path.cwd()), words, str(out), str(err)))
        process.start()
        process.join(seconds)
        if process.is_alive():
            process.kill()
            raise TimeoutError(words)
        assert process.exitcode is not None
        return outcome_of(process.exitcode, out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8"))


def _called(folder: str, arguments: list[str], out: str, err: str) -> None:
    from recam_cli import __main__

    os.chdir(folder)
    for number, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    for name in COLOURED:
        os.environ.pop(name, None)
    os.environ.update(PLAIN)
    sys.argv = ["recam", *arguments]
    __main__.main()


def _work(
    folder: str, arguments: list[str], out: str, kill_at: int | None, moment: Moment, within: str, number: int
) -> None:
    from recam_cli import __main__
    from recam_cli.core.training.loop import Loop

    os.setsid()
    os.chdir(folder)
    file = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    if kill_at is not None and moment == "step":
        Loop._step = _ending(Loop._step, kill_at, number)
    elif kill_at is not None:
        crash.arm(moment, kill_at, number, within=within)
    sys.argv = ["recam", *arguments]
    __main__.main()


def _ending(function, at: int, number: int):
    calls = 0

    def counted(*arguments):
        nonlocal calls
        calls += 1
        if calls == at:
            os.kill(os.getpid(), number)
        return function(*arguments)

    return counted


def left_by(run: Path) -> dict[str, object]:
    """Return what must not depend on kills: weights and masks bit by bit, metrics log and manifest without timings."""
    files = {
        str(path.relative_to(run)): path.read_bytes()
        for path in sorted(run.rglob("*"))
        if path.suffix in (".safetensors", ".png", ".npz")
        and not {part.split("-")[0].split(".")[0] for part in path.relative_to(run).parts} & {"snapshots", "unfinished"}
    }
    log = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    log = [[(name, value) for name, value in line.items() if name not in _TIMINGS] for line in log]
    manifest = json.loads((run / "manifest.json").read_text())
    manifest.pop("sha256", None)  # of the timings, too
    return {"files": files, "log": log, "manifest": _untimed(manifest)}


def survive(folder: Path, begin: list, resume: list, moments: Iterable[tuple[Moment, int]]) -> list[Moment]:
    """Run `begin`, killed at the first moment, then `resume`, killed at the next, and so on to the end.

    Returns the moments that killed. Where a kill came before there was anything to go on from, it begins anew, as the
    message says.
    """
    kills: list[Moment] = []
    command = begin
    for moment, at in moments:
        ended = drive(folder, *command, kill_at=at, moment=moment)
        if ended.code == 4 and command is not begin and "has finished" not in ended.text:
            command = begin
            continue
        if not ended.killed:
            break
        kills.append(moment)
        command = resume
    while (ended := drive(folder, *command)).code == 4:
        if "has finished" in ended.text:  # killed after its last act
            return kills
        assert "nothing to resume" in ended.text, ended.text
        command = begin
    assert ended.code == 0, ended.text
    return kills


def _untimed(value):
    if isinstance(value, str):  # the number of workers is free to change
        return re.sub(r" --workers \d+", "", value)
    if isinstance(value, dict):
        return {k: _untimed(v) for k, v in value.items() if k not in (*_TIMINGS, *_OF_THE_CALL)}
    return [_untimed(v) for v in value] if isinstance(value, list) else value
