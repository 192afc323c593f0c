"""`run.json`: what `recam run` was asked for in a run, and what its stages gave, so that the same command goes on.

It lies beside the manifest, which says what was done; this says what was meant.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from recam_cli.core.bounded import read_json, reason_of
from recam_cli.core.errors import RunError
from recam_cli.core.runs.files import write_json

PLAN_NAME = "run.json"


@dataclass
class RunPlan:
    """What was meant.

    Attributes:
        command: the command line that began it.
        until: the last stage asked for.
        settings: by stage, those that its files depend on.
        data: by split, the fingerprint of its photographs and labels.
        results: by finished stage: {"fingerprint": its manifest entry's, "seconds": …, "result": what it returned}.
    """

    command: str = ""
    until: str = ""
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    data: dict[str, str] = field(default_factory=dict)
    results: dict[str, dict[str, Any]] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Write it into `folder`, whole or not at all."""
        write_json(folder / PLAN_NAME, asdict(self))

    @classmethod
    def load(cls, folder: Path) -> RunPlan | None:
        """Return the plan of a run; None where `recam run` did not begin it.

        Raises:
            RunError: it is damaged.
        """
        path = folder / PLAN_NAME
        try:
            content = read_json(path)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise _damaged(path, reason_of(error)) from None
        known: dict[str, type] = {"command": str, "until": str, "settings": dict, "data": dict, "results": dict}
        if not isinstance(content, dict) or set(content) != set(known):
            raise _damaged(path, f"not an object of {', '.join(known)}")
        for name, kind in known.items():
            if not isinstance(content[name], kind):
                raise _damaged(path, f"{name} is not of its type")
        for name in ("settings", "results"):
            if not all(isinstance(value, dict) for value in content[name].values()):
                raise _damaged(path, f"{name} is not of its type")
        return cls(**content)


def _damaged(path: Path, reason: str) -> RunError:
    return RunError(f"{path}: damaged: {reason}", remedy="Restore the file, or begin another run with --run")
