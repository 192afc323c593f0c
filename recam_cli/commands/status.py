"""`recam status`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recam_cli.commands.common import Call, Command
from recam_cli.core.settings.status import StatusSettings
from recam_cli.terminal import print_line, print_table

if TYPE_CHECKING:
    from recam_cli.core.runs.run import Run


_HEADLINES = {
    "miou": "mIoU {:.2f} %",
    "map": "mAP {:.2f} %",
    "cross_validated_map": "mAP {:.2f} % (cross-validated)",
    "images": "{} images",
}


def _execute(call: Call) -> None:
    from recam_cli.core.runs.next_command import next_command
    from recam_cli.core.runs.run import Run
    from recam_cli.core.runs.verify import verify

    settings = call.resolve(StatusSettings).settings
    run = Run.open(call.run_path)
    verified = verify(run, call.reporter) if settings.verify else None
    result = overview(run)
    if verified is not None:
        result["verified"] = verified.as_dict()

    def human() -> None:
        print_table(("stage", "state", "time", "result"), rows(run), title=str(run.path))
        if verified is not None and not verified.faults:
            print_line(f"all {verified.files} files are as they were written")
        for line in unlearned(run):
            print_line(line)
        for stage, entry in run.manifest.stages.items():
            if entry.error and run.state(stage) == "failed":
                print_line(f"{stage} failed: {entry.error}")
        print_line(f"next: {next_command(run)}")

    call.show(result, human)
    if verified is not None:
        verified.raise_on_faults()


def overview(run: Run) -> dict[str, Any]:
    """Return what `--json` prints."""
    from recam_cli.core.runs.next_command import next_command

    stages = {
        name: {
            "state": run.state(name),
            "seconds": entry.seconds,
            "started": entry.started,
            "metrics": entry.metrics,
            "outdated": run.outdated(name),
            "error": entry.error,
        }
        for name, entry in run.manifest.stages.items()
    }
    return {"run": str(run.path), "stages": stages, "next_command": next_command(run)}


def unlearned(run: Run) -> list[str]:
    """Return what is to be said of classes that the run's classifier has not learned."""
    from recam_cli.core.metrics.unlearned import LEARNED, unlearned_lines

    entry = run.entry("train-cls")
    return unlearned_lines(entry.metrics.get(LEARNED) or {}) if entry is not None else []


def rows(run: Run) -> list[tuple[str, str, str, str]]:
    """Return the table's rows: stage, state, time and head figure."""
    return [
        (name, _state(run, name), f"{e.seconds:.0f} s", _headline(e.metrics)) for name, e in run.manifest.stages.items()
    ]


def _state(run: Run, stage: str) -> str:
    changed = run.outdated(stage)
    return run.state(stage) if changed is None else f"outdated by {changed}"


def _headline(metrics: dict[str, Any]) -> str:
    for key, text in _HEADLINES.items():
        if isinstance(metrics.get(key), int | float):
            return text.format(metrics[key])
    return ""


COMMAND = Command(
    name="status",
    settings=StatusSettings,
    execute=_execute,
    examples=("recam status", "recam status --run runs/photos --json", "recam status --verify"),
)
