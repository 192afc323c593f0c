"""Whether the files of a run are those its manifest speaks of: one, before a stage reads it, or all of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from recam_cli.core.errors import CheckError, RunError
from recam_cli.core.reporter import Progress, Reporter
from recam_cli.core.runs.files import sha256_of, sha256_of_all
from recam_cli.core.runs.manifest import Output
from recam_cli.core.runs.next_command import command_of
from recam_cli.core.runs.run import Run
from recam_cli.core.runs.sums import find_sums
from recam_cli.core.shell import shell_line

_NAMED = 5
_EVALUATION = re.compile("evaluate-(seeds|masks|segmentation)(?:-(cam|truth))?-(.+)")
_NEW_RUN = "Restore them, or train a new run with: recam train-cls"


def verified_file(run: Run, stage: str, output: str, *, remedy: str) -> tuple[Path, str]:
    """Return a file that a finished stage wrote, and its SHA-256, after checking that it is still the same.

    Args:
        run: the run.
        stage: the stage, which has finished.
        output: the output's name in its entry.
        remedy: what to do where the file is missing or has changed.

    Raises:
        RunError: it is missing, cannot be read, or has changed since.
    """
    noted = run.require(stage).outputs.get(output)
    if noted is None:
        raise RunError(f"{run.path}: {stage} notes no {output} among its files", remedy=remedy)
    path = run.path / noted.path
    if not path.is_file():
        raise RunError(f"{path} is missing", remedy=remedy)
    try:
        digest = sha256_of(path)
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror}", remedy=remedy) from error
    if digest != noted.sha256:
        raise RunError(f"{path} has changed since {stage} wrote it", remedy=remedy)
    return path, digest


def check_items(run: Run, stage: str, output: str, files: Iterable[Path], *, remedy: str) -> None:
    """Check that files, one per image, are what a finished stage wrote, by the hashes it listed.

    Args:
        run: the run.
        stage: the stage, which has finished.
        output: the name in its entry of the folder of these files; where it notes none, or another one, nothing is
            checked.
        files: those that are going to be read.
        remedy: what to do where one has changed.

    Raises:
        RunError: one has changed since, or is not of this stage.
    """
    noted = run.require(stage).outputs.get(output)
    if noted is None or noted.sha256 is None:
        return
    folder, files = run.path / noted.path, list(files)
    if any(file.parent != folder for file in files):  # of a split that was predicted before
        return
    sums = find_sums(folder, noted.sha256)
    if sums is None:
        raise RunError(f"{folder}: the list of its files' hashes is missing or has changed", remedy=remedy)
    changed = [f for f, digest in zip(files, sha256_of_all(files), strict=True) if sums.get(f.name) != digest]
    if changed:
        more = f", and so have {len(changed) - 1} more" if len(changed) > 1 else ""
        raise RunError(f"{changed[0]} has changed since {stage} wrote it{more}", remedy=remedy)


@dataclass(frozen=True)
class Fault:
    """A file that is not as its stage wrote it; `reason` is "missing", "changed" or why it cannot be read."""

    stage: str
    file: str
    reason: str


@dataclass(frozen=True)
class Verification:
    """What became of the files of the finished stages of `run`: how many were looked at, and which are at fault."""

    run: Run
    files: int
    faults: tuple[Fault, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return it JSON-ready."""
        return {"files": self.files, "faults": [asdict(fault) for fault in self.faults]}

    def raise_on_faults(self) -> None:
        """Raise CheckError, which names the first files, where there are faults."""
        if not self.faults:
            return
        named = ", ".join(f"{fault.file} ({fault.reason})" for fault in self.faults[:_NAMED])
        more = f" and {len(self.faults) - _NAMED} more" if len(self.faults) > _NAMED else ""
        commands = dict.fromkeys(_command_anew(self.run, fault.stage) for fault in self.faults)
        anew = "; ".join(command for command in commands if command)
        raise CheckError(
            f"{len(self.faults)} of {self.files} files are not as they were written: {named}{more}",
            remedy=f"Restore them, or make them anew: {anew}" if None not in commands else _NEW_RUN,
        )


def verify(run: Run, reporter: Reporter) -> Verification:
    """Compare all files of the run's finished stages with their hashes; nothing is written."""
    outputs = [
        (name, out) for name in run.manifest.stages if (entry := run.entry(name)) for out in entry.outputs.values()
    ]
    total = sum(output.count for _, output in outputs)
    with reporter.track("Verifying", total, "file") as progress:
        faults = [fault for stage, output in outputs for fault in _faults(run, stage, output, progress)]
    return Verification(run, total, tuple(faults))


def _command_anew(run: Run, stage: str) -> str | None:
    """Return the command that makes a stage's files anew; None for train-cls, which begins a run.

    Stages of items make those anew that have changed; a segmenter is replaced on request only.
    """
    if stage == "train-cls":
        return None
    place = ("--run", str(run.path))
    if stage == "report":
        return shell_line(("recam", "report", *place))
    if (found := _EVALUATION.fullmatch(stage)) is not None:
        method = ("--method", found[2]) if found[2] else ()
        return shell_line(("recam", "evaluate", "--of", found[1], *method, "--split", found[3], *place))
    return command_of(run, stage, overwrite=stage.startswith("train-seg"))


def _faults(run: Run, stage: str, output: Output, progress: Progress) -> Iterator[Fault]:
    path = run.path / output.path
    if output.sha256 is None:
        return
    if not path.is_dir():
        yield from _fault_of_file(stage, path, output.sha256, progress)
        return
    sums = find_sums(path, output.sha256)
    if sums is None:
        yield Fault(stage, str(path), "its list of hashes is missing or changed")
        return
    for name, digest in sums.items():
        yield from _fault_of_file(stage, path / name, digest, progress)


def _fault_of_file(stage: str, path: Path, digest: str, progress: Progress) -> Iterator[Fault]:
    try:
        reason = None if sha256_of(path) == digest else "changed"
    except FileNotFoundError:
        reason = "missing"
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
    progress.advance()
    if reason is not None:
        yield Fault(stage, str(path), reason)
