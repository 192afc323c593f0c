"""`recam evaluate`."""

from __future__ import annotations

from recam_cli.commands.common import Call, Command
from recam_cli.core.settings.evaluate import EvaluateSettings
from recam_cli.terminal import print_line, print_table


def _execute(call: Call) -> None:
    from recam_cli.core.metrics.table import rows_of, text_of
    from recam_cli.core.runs.run import Run
    from recam_cli.stages import evaluate

    alone = call.values.get("pred_dir") is not None
    run = None if alone else Run.open(call.run_path)
    result = evaluate.run(call.resolve(EvaluateSettings, run=run), run, call.reporter)

    def human() -> None:
        table = rows_of(result)
        print_table(table.header, [[text_of(cell) for cell in row] for row in table.rows])
        print_line(f"mIoU {result.miou:.2f} % over {result.images} images")

    call.show(result.as_dict(), human)


COMMAND = Command(
    name="evaluate",
    settings=EvaluateSettings,
    execute=_execute,
    examples=(
        "recam evaluate --of seeds",
        "recam evaluate --of segmentation --split val --json",
        "recam evaluate --pred-dir masks --truth-dir SegmentationClass",
    ),
    has_preset=True,
)
