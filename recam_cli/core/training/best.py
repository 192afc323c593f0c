"""The weights of a phase's best epoch, kept beside its snapshots as `best.safetensors`."""

from __future__ import annotations

from typing import Any

from torch import nn

from recam_cli.core.reporter import Reporter
from recam_cli.core.training.snapshot_files import DamagedError, Snapshot, SnapshotFolder, read_snapshot


class BestEpoch:
    """Keeps the best of the epochs that are offered to it; of equal ones the first.

    Args:
        folder: of the training's snapshots.
        carried: what these carry; remembers the best, so that a training that goes on knows it.
        model: the network.
        reporter: told which epoch was taken.
    """

    def __init__(self, folder: SnapshotFolder, carried: dict[str, Any], model: nn.Module, reporter: Reporter) -> None:
        self._folder, self._carried, self._model, self._reporter = folder, carried, model, reporter

    def offer(self, phase: str, epoch: int, score: float | None) -> None:
        """Keep the weights of now, of finished epoch `epoch` (from 1), if their `score` is the phase's highest so far.

        Raises:
            RunError: the folder cannot be written.
        """
        known = self._carried.get("best", {})
        if score is None or (known.get("phase") == phase and known["score"] >= score):
            return
        facts = {"phase": phase, "epoch": epoch, "score": score}
        self._folder.write_best(Snapshot(self._model.state_dict(), facts))
        self._carried["best"] = facts

    def take(self, phase: str) -> int | None:
        """Give the network the weights of the phase's best epoch; returns which it was.

        None where no epoch had a score, or where the file is damaged: this is told, and the network stays as it is.
        """
        known = self._carried.get("best", {})
        if known.get("phase") != phase:
            return None
        try:
            found = read_snapshot(self._folder.best)
            if dict(found.facts) != known:
                raise DamagedError("it is of another epoch")
            self._model.load_state_dict(dict(found.tensors))
        except (DamagedError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            self._reporter.warn(f"{self._folder.best} is damaged ({reason}): keeping the weights of the last epoch")
            return None
        self._reporter.info(f"{phase}: taking epoch {known['epoch']}, the best with {known['score']:.2f} %")
        return int(known["epoch"])
