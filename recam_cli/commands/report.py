"""`recam report`."""

from __future__ import annotations

from recam_cli.commands.common import Call, Command
from recam_cli.core.settings.report import ReportSettings
from recam_cli.terminal import print_line


def _execute(call: Call) -> None:
    from recam_cli.core.runs.run import Run
    from recam_cli.stages import report

    run = Run.open(call.run_path)
    result = report.run(call.resolve(ReportSettings, run=run), run, call.reporter)
    call.show(result.as_dict(), lambda: print_line(str(result.page)))


COMMAND = Command(
    name="report",
    details="The page needs neither network nor scripts. Beside it lie curves.png and sheet.png.",
    settings=ReportSettings,
    execute=_execute,
    examples=("recam report", "recam report --images 16 --run runs/photos"),
)
