"""A run directory: where its files lie, which stages are done, and the lock that keeps it to one process."""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from recam_cli.core.bounded import parse_json
from recam_cli.core.errors import RecamError, RunError
from recam_cli.core.resources import lack_of
from recam_cli.core.runs.files import append_line, fingerprint, sha256_of, write_bytes
from recam_cli.core.runs.leftovers import is_leftover, sweep
from recam_cli.core.runs.lock import LOCK_NAME, Lock, in_use, locked
from recam_cli.core.runs.manifest import MANIFEST_NAME, Manifest, Output, StageEntry
from recam_cli.core.runs.next_command import command_of, next_command
from recam_cli.core.runs.plan import PLAN_NAME
from recam_cli.core.runs.stage_facts import STAGE_ORDER
from recam_cli.core.runs.sums import write_sums
from recam_cli.core.runs.under_way import note_begun
from recam_cli.core.runs.versions import versions
from recam_cli.core.settings.declare import as_plain, settings_of
from recam_cli.core.settings.groups import HARDWARE, OUTPUT
from recam_cli.core.settings.resolve import Resolved, resolve

S = TypeVar("S")
RUNS_FOLDER = Path("runs")
METRICS_NAME = "metrics.jsonl"
_UNFINISHED = "unfinished-"
_NO_VALUE = ("--json", "--quiet", "-q", "--verbose", "-v")
"""Options of `recam run` that no value follows."""
_PLACES = ("data_root", "labels", "max_pixels", "download", "init")


class Run:
    """One run directory and its manifest.

    Attributes:
        path: the directory.
        manifest: what has been done so far; saved by `stage`.
        set_aside: where `create` moved what an unfinished training had left, if so.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest
        self.set_aside: Path | None = None
        self._locks: list[Lock] = []

    @classmethod
    def create(cls, path: Path | None = None) -> Run:
        """Start a run at `path`, or at `runs/<date>-<time>`.

        A run whose train-cls has not finished is begun anew; what it left is kept in `unfinished-<n>/`.

        Raises:
            RunError: `path` is a run already, or a folder with other things in it.
        """
        if path is None:
            stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
            path = RUNS_FOLDER / stamp
            serial = 1
            while path.exists():
                serial += 1
                path = RUNS_FOLDER / f"{stamp}-{serial}"
        if _only_begun(path):
            return cls._begin_anew(path)
        if path.is_file() or (path.is_dir() and not all(_of_no_stage(p) for p in path.iterdir())):
            what = "a run" if (path / MANIFEST_NAME).is_file() else "something other than a run"
            raise RunError(f"{path} holds {what} already", remedy="Choose another --run, or move it away")
        run = cls(path, Manifest(created=_now()))
        run.manifest.save(path)
        return run

    @classmethod
    def _begin_anew(cls, path: Path) -> Run:
        with locked(path):  # refuses where that training is still going on
            serial = 1
            while (aside := path / f"{_UNFINISHED}{serial}").exists():
                serial += 1
            try:
                aside.mkdir()
                for left in list(path.iterdir()):
                    if left.name == MANIFEST_NAME:
                        write_bytes(aside / left.name, left.read_bytes())  # the run is never without a manifest
                    elif left.name not in (LOCK_NAME, PLAN_NAME) and not left.name.startswith(_UNFINISHED):
                        left.rename(aside / left.name)
            except OSError as error:
                raise RunError(
                    f"{path} cannot be begun anew: {error.strerror}", remedy="Choose another --run"
                ) from error
            run = cls(path, Manifest(created=_now()))
            run.manifest.save(path)
        run.set_aside = aside
        return run

    @classmethod
    def open(cls, path: Path | None = None, *, root: Path = RUNS_FOLDER) -> Run:
        """Open the run at `path`, or the newest run below `root`.

        Raises:
            RunError: there is none, or its manifest is damaged.
        """
        if path is None:
            path = newest_run(root)
            if path is None:
                raise RunError(
                    f"no run found in {root}/",
                    remedy="Start one with: recam train-cls, or name one with --run",
                )
        if not os.path.isdir(path):  # noqa: PTH112 - no error where it cannot be a path
            raise RunError(f"{path}: no such run directory", remedy="Start one with: recam train-cls")
        return cls(path, Manifest.load(path))

    def entry(self, stage: str) -> StageEntry | None:
        """Return the stage's entry if it is done, else None."""
        entry = self.manifest.stages.get(stage)
        return entry if entry is not None and entry.state == "done" else None

    def state(self, stage: str) -> str:
        """Return the state of a recorded stage: as in its entry, but "killed" where none is left that runs it."""
        state = self.manifest.stages[stage].state
        return "killed" if state == "running" and not in_use(self.path) else state

    def require(self, stage: str) -> StageEntry:
        """Return the entry of a finished stage.

        Raises:
            RunError: it has not been run, or has not finished; the message names the command.
        """
        entry = self.entry(stage)
        if entry is None:
            begun = "has not finished" if stage in self.manifest.stages else "has not been run"
            raise RunError(
                f"{self.path}: {stage} {begun}",
                remedy=f"Run: {command_of(self, stage)}",
            )
        return entry

    def recorded(self, cls: type[S], values: Mapping[str, Any]) -> S:
        """Return what the manifest records, by name, as settings of `cls`; defaults stand for what is not there.

        Raises:
            RunError: a value has the wrong type or range.
        """
        known = settings_of(cls)
        noted = {name: value for name, value in values.items() if name in known}
        return resolve(cls, flags={}, run=noted, run_name=str(self.path / MANIFEST_NAME)).settings

    def outdated(self, stage: str) -> str | None:
        """Return the earlier stage that was run anew with other settings since `stage`, or None."""
        return self._outdated(stage, set())

    def _outdated(self, stage: str, seen: set[str]) -> str | None:
        if stage in seen:  # of a manifest that no run wrote
            return None
        seen.add(stage)
        entry = self.entry(stage)
        for name, noted in entry.inputs.items() if entry is not None else ():
            source = self.manifest.stages.get(name)
            if source is None:  # a file's hash, not a stage
                continue
            if source.fingerprint != noted:
                return name
            if (earlier := self._outdated(name, seen)) is not None:
                return earlier
        return None

    def log(self, **values: Any) -> None:
        """Append one line to `metrics.jsonl`.

        Raises:
            RunError: it cannot be written, or the run's folder has gone.
        """
        for lock in self._locks:
            lock.check()
        append_line(self.path / METRICS_NAME, json.dumps(values, allow_nan=False, ensure_ascii=False))

    @property
    def log_size(self) -> int:
        """Bytes of `metrics.jsonl` so far."""
        path = self.path / METRICS_NAME
        return path.stat().st_size if path.is_file() else 0

    def cut_log(self, stage: str, size: int) -> None:
        """Take the stage's lines after the first `size` bytes out of `metrics.jsonl`; those of other stages stay.

        Raises:
            RunError: the log cannot be written.
        """
        path = self.path / METRICS_NAME
        if self.log_size <= size:
            return
        data = path.read_bytes()
        later = data[size:].splitlines(keepends=True)
        write_bytes(path, data[:size] + b"".join(line for line in later if _of_other_stage(line, stage)))

    @contextmanager
    def stage(
        self,
        name: str,
        resolved: Resolved[Any],
        *,
        inputs: Mapping[str, str] | None = None,
        device: str = "cpu",
        seconds_before: float | None = None,
    ) -> Iterator[StageEntry]:
        """Record a stage: lock the run, write its entry before and after the block.

        Args:
            name: stage name, e.g. "make-seeds".
            resolved: its settings and their sources.
            inputs: what it was made from, by name: hashes of weights or fingerprints of earlier stages.
            device: the device it runs on.
            seconds_before: of a stage that goes on, the time it took so far; it is recorded as it was begun.

        Yields:
            The entry, for the block to fill `outputs`, `metrics` and `notes`.
        """
        with locked(self.path) as lock:
            self._locks.append(lock)
            sweep(self.path)
            self.manifest = Manifest.load(self.path)
            entry = StageEntry(
                command=asked_command(),
                settings=as_plain(resolved.settings),
                sources=dict(resolved.sources),
                fingerprint=stage_fingerprint(name, resolved.settings, inputs or {}),
                inputs=dict(inputs or {}),
                versions=versions(),
                device=device,
                started=_now(),
            )
            begun = time.monotonic() - (seconds_before or 0.0)
            if seconds_before is not None and name in self.manifest.stages:
                _as_begun(entry, self.manifest.stages[name])
            self.manifest.stages[name] = entry
            self.manifest.save(self.path)
            note_begun(self.path, name)
            try:
                yield entry
                entry.state = "done"
            except BaseException as error:
                lack = lack_of(error, name)
                told = lack or error
                entry.state = "failed" if isinstance(error, Exception) else "interrupted"
                entry.error = str(told) if isinstance(told, RecamError) else type(told).__name__
                if lack is None or lack is error:
                    raise
                raise lack from error
            finally:
                self._locks.pop()
                lock.check()
                entry.seconds = round(time.monotonic() - begun, 3)
                self.manifest.next_command = next_command(self)
                self.manifest.save(self.path)

    def output_of_file(self, path: Path) -> Output:
        """Describe a written file by hash and size."""
        return Output(path=self._relative(path), sha256=sha256_of(path), bytes=path.stat().st_size)

    def output_of_folder(self, path: Path, pattern: str) -> Output:
        """Describe a written folder by the number, total size and hashes of its files matching `pattern` ("*.png").

        The hashes are listed in the folder (`sums.write_sums`); the description holds the list's own.
        """
        files = sorted(path.glob(pattern))
        return Output(
            path=self._relative(path),
            count=len(files),
            bytes=sum(f.stat().st_size for f in files),
            sha256=write_sums(path, files, Path(pattern).suffix),
        )

    def _relative(self, path: Path) -> str:
        """Return the path as seen from the run, of one outside it the absolute one: both hold in any folder."""
        path, here = path.absolute(), self.path.absolute()
        return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def stage_fingerprint(name: str, settings: Any, inputs: Mapping[str, str]) -> str:
    """Hash what a stage's outputs depend on: its settings that matter (`result_settings`), and its inputs."""
    return fingerprint({"stage": name, "settings": result_settings(settings, inputs)})


def result_settings(settings: Any, inputs: Mapping[str, str]) -> dict[str, Any]:
    """Return what a stage's files depend on, JSON-ready by name.

    These are the settings outside the Hardware and Output panels, and the stage's inputs. Where the data and initial
    weights lie does not matter, their content does, which comes in as the inputs "data" and "weights".
    """
    known = settings_of(type(settings))
    plain = as_plain(settings)
    matter = {
        name: value
        for name, value in plain.items()
        if known[name].declaration.panel not in (HARDWARE, OUTPUT) and name not in _PLACES
    }
    return matter | dict(inputs)


def newest_run(root: Path = RUNS_FOLDER) -> Path | None:
    """Return the run below `root` whose manifest was written last, or None."""
    found = [p for p in root.glob(f"*/{MANIFEST_NAME}") if p.is_file()]
    return max(found, key=lambda p: (p.stat().st_mtime_ns, p.parent.name)).parent if found else None


def asked_command() -> str:
    """Return the command line of this process, so that it can be run elsewhere.

    The paths of a config file, of a run that is repeated, and of the photographs of a whole run, are made absolute.
    """
    words, after_config, before = ["recam"], False, ""
    for word in sys.argv[1:]:
        option, equals, value = word.partition("=")
        places = sys.argv[1] == "run" and (before == "run" or before in _NO_VALUE) and Path(word).is_dir()
        repeated = sys.argv[1] == "rerun" and (Path(word) / MANIFEST_NAME).is_file()
        if after_config or places or repeated:
            words.append(str(Path(word).absolute()))
        else:
            words.append(f"{option}={Path(value).absolute()}" if equals and option == "--config" else word)
        after_config, before = word == "--config", word
    return shlex.join(words)


def _of_other_stage(line: bytes, stage: str) -> bool:
    try:
        return bool(parse_json(line).get("stage") != stage)
    except (ValueError, AttributeError):  # cut by a kill
        return False


def _as_begun(entry: StageEntry, begun: StageEntry) -> None:
    """Let the entry of a stage that goes on say how it was begun, where that still holds."""
    entry.command, entry.started = begun.command, begun.started
    for name, source in begun.sources.items():
        if name in entry.sources and begun.settings.get(name) == entry.settings.get(name):
            entry.sources[name] = source


def _of_no_stage(path: Path) -> bool:
    """Return whether a run that was killed before its first stage leaves such a file."""
    if path.name == MANIFEST_NAME:
        return not Manifest.load(path.parent).stages
    return path.name in (LOCK_NAME, PLAN_NAME) or is_leftover(path.name)


def _only_begun(path: Path) -> bool:
    """Return whether `path` is a run of nothing but a train-cls that has not finished."""
    if not (path / MANIFEST_NAME).is_file():
        return False
    stages = Manifest.load(path).stages
    return set(stages) == {STAGE_ORDER[0]} and stages[STAGE_ORDER[0]].state != "done"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
