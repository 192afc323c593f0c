"""`recam demo`."""

from __future__ import annotations

from recam_cli.commands.common import Call, Command
from recam_cli.core.settings.demo import DemoSettings
from recam_cli.terminal import print_line, print_table


def _execute(call: Call) -> None:
    from recam_cli.stages import demo

    result = demo.run(call.resolve(DemoSettings), call.reporter)

    def human() -> None:
        header = ("", "scored on", "mIoU %", "best mIoU %", "seconds")
        rows = [
            (row.name, row.split, _figure(row.miou), _figure(row.best), f"{row.seconds:.0f}") for row in result.rows
        ]
        print_table(header, rows, title=f"{result.run}: the whole pipeline in {result.seconds:.0f} s")
        print_line("mIoU: no true mask was used to make it; best: seeds cut at the threshold that suits the true masks")
        print_line(f"pictures: {result.sheet}")
        print_line(f"report:   {result.report}")

    call.show(result.as_dict(), human)


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


COMMAND = Command(
    name="demo",
    details="Images are drawn, a classifier trained, seeds, masks and a segmenter made, and all of them scored.",
    settings=DemoSettings,
    execute=_execute,
    examples=("recam demo", "recam demo --out runs/demo --seed 1"),
    needs_run=False,
)
