"""The weights of a phase's best epoch, kept beside its snapshots as `best-<phase>.safetensors`."""

from __future__ import annotations

from typing import Any

from torch import nn

from recam_cli.core.reporter import Reporter
from recam_cli.core.training.snapshot_files import DamagedError, Snapshot, SnapshotFolder, read_snapshot


class BestEpoch:
    """Keeps one of the epochs that are offered to it.

    That is the one with the highest score, of equal ones the first; where scores come with their standard errors, the
    latest that is no more than that of the best one below it (the one-standard-error rule of Breiman et al.,
    "Classification and Regression Trees", 1984, §3.4.3): a difference that chance explains speaks for neither.

    Args:
        folder: of the training's snapshots.
        carried: what these carry; remembers the best, so that a training that goes on knows it.
        model: the network.
        reporter: told which epoch was taken.
    """

    def __init__(self, folder: SnapshotFolder, carried: dict[str, Any], model: nn.Module, reporter: Reporter) -> None:
        self._folder, self._carried, self._model, self._reporter = folder, carried, model, reporter

    def offered(self, phase: str) -> bool:
        """Return whether an epoch of `phase` has been offered already."""
        return bool(self._carried.get("best", {}).get("phase") == phase)

    def offer(self, phase: str, epoch: int, score: float | None, error: float | None = None) -> None:
        """Keep the weights of now, of finished epoch `epoch`, if by their `score` they are those to keep so far.

        Args:
            phase: scores of others do not count.
            epoch: from 1; 0 for what the phase began with.
            score: in percent; None where there is none.
            error: its standard error, in percent; None for the rule without it.

        Raises:
            RunError: the folder cannot be written.
        """
        known = self._carried.get("best", {}) if self.offered(phase) else {}
        if score is None or (known and not _goes_before(score, error, known)):
            return
        facts: dict[str, Any] = {"phase": phase, "epoch": epoch, "score": score}
        if error is not None:
            higher = not known or score > known["top"]
            facts |= {"top": score, "error": error} if higher else {n: known[n] for n in ("top", "error")}
        self._folder.write_best(phase, Snapshot(self._model.state_dict(), facts))
        self._carried["best"] = facts

    def take(self, phase: str) -> int | None:
        """Give the network the weights of the phase's best epoch; returns which it was.

        None where no epoch had a score, or where the file is damaged: this is told, and the network stays as it is.
        """
        known = self._carried.get("best", {})
        if known.get("phase") != phase:
            return None
        try:
            found = read_snapshot(self._folder.best(phase))
            if dict(found.facts) != known:
                raise DamagedError("it is of another epoch")
            self._model.load_state_dict(dict(found.tensors))
        except (DamagedError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            self._reporter.warn(
                f"{self._folder.best(phase)} is damaged ({reason}): keeping the weights of the last epoch"
            )
            return None
        return int(known["epoch"])


def _goes_before(score: float, error: float | None, known: dict[str, Any]) -> bool:
    """Return whether a later epoch of `score` is kept instead of the `known` one."""
    return bool(score > known["score"] if error is None else score >= known["top"] - known["error"])
