"""`recam rerun`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from recam_cli.commands.common import Call, Command
from recam_cli.core.settings.rerun import RerunSettings
from recam_cli.terminal import print_line, print_table

if TYPE_CHECKING:
    from recam_cli.core.rerun.compare import StageComparison


def _execute(call: Call) -> None:
    from recam_cli.core.errors import CheckError
    from recam_cli.core.runs.run import Run

    resolved = call.resolve(RerunSettings)
    original = Run.open(call.values["original"]).path
    from recam_cli.stages import rerun  # imports torch: only once there is a run

    result = rerun.run(resolved, original, call.run_path, call.reporter)

    def human() -> None:
        header = ("stage", "result", "largest difference", "files that differ", "pixels", "score then → now")
        print_table(header, [_row(stage) for stage in result.stages], title=f"{result.path} beside {result.original}")
        if result.identical:
            print_line("all is identical, bit by bit")

    call.show(result.as_dict(), human)
    if result.failed:
        named = next((s.names[0] for s in result.stages if s.stage == result.failed[0] and s.names), None)
        first = f"{result.failed[0]}{f' ({named})' if named else ''}"
        more = f" and {len(result.failed) - 1} more" if len(result.failed) > 1 else ""
        raise CheckError(f"{result.path} differs from {result.original} in {first}{more}")


def _row(stage: StageComparison) -> tuple[str, ...]:
    gap = "" if not stage.differing else "not comparable" if stage.largest is None else f"{stage.largest:.3g}"
    score = "" if stage.score is None else f"{stage.score} {_figure(stage.then)} → {_figure(stage.now)}"
    files = f"{stage.differing + stage.missing} of {stage.files}" if stage.files else ""
    if stage.missing:
        files += f" ({stage.missing} missing)"
    return (
        stage.stage,
        "identical" if stage.identical else "differs",
        gap,
        files,
        str(stage.pixels) if stage.pixels else "",
        score,
    )


def _figure(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.2f}"


COMMAND = Command(
    name="rerun",
    details="Every finished stage is repeated with exactly its recorded settings in --run, without it in a folder "
    "named <original>-rerun beside the run, which is never written to. Then weights, maps, masks and scores are "
    "compared: exit code 0 where all is identical, 5 where something differs, 4 where data or weights are not those of "
    "then. Called again after an interruption, it goes on.",
    settings=RerunSettings,
    execute=_execute,
    arguments={"original": (Path, "The run to repeat.")},
    examples=("recam rerun runs/photos", "recam rerun runs/photos --run runs/again --tolerance 0.5"),
)
