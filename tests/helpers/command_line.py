"""The command line as a user drives it: in a process of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COLOURED = ("FORCE_COLOR", "GITHUB_ACTIONS")
PLAIN = {"NO_COLOR": "1", "COLUMNS": "160"}
"""What makes the output easy to read, and by what it would be hard."""
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True)
class Outcome:
    """How a call ended: exit code, stdout and stderr without colours."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Everything on stdout, parsed as JSON."""
        return json.loads(self.out)


def recam(*arguments: object, cwd: Path | None = None, timeout: float = 300) -> Outcome:
    """Run `recam` with the arguments and wait for it."""
    environment = {k: v for k, v in os.environ.items() if k not in COLOURED}
    environment |= {**PLAIN, "OMP_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-m", "recam_cli", *map(str, arguments)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return outcome_of(done.returncode, done.stdout, done.stderr)


def outcome_of(code: int, out: str, err: str) -> Outcome:
    """Return how a call ended, without colours."""
    return Outcome(code, _ANSI.sub("", out), _ANSI.sub("", err))
