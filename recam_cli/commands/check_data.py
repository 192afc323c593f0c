"""`recam check-data`."""

from __future__ import annotations

from recam_cli.commands.common import Call, Command
from recam_cli.core.settings.check_data import CheckDataSettings
from recam_cli.terminal import print_line, print_table


def _execute(call: Call) -> None:
    from recam_cli.stages import check_data

    result = check_data.run(call.resolve(CheckDataSettings), call.reporter)

    def human() -> None:
        rows = [(s.split, str(s.images), str(s.masks), str(s.unlabelled)) for s in result.splits]
        print_table(("split", "images", "true masks", "of nothing"), rows, title=f"{result.dataset} {result.root}")
        if result.nothing:
            print_line(f"{result.nothing} {'photograph' if result.nothing == 1 else 'photographs'} of nothing")
        for problem in result.problems:
            print_line(f"{problem.severity}: {problem}")
        if result.passed:
            print_line("the data can be used")

    call.show(result.as_dict(), human)
    result.raise_on_errors()


COMMAND = Command(
    name="check-data",
    settings=CheckDataSettings,
    execute=_execute,
    examples=("recam check-data --dataset custom --data-root photos",),
    needs_run=False,
)
