"""`recam evaluate`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recam_cli.commands.common import Call, Command
from recam_cli.core.settings.evaluate import EvaluateSettings
from recam_cli.terminal import print_line, print_table

if TYPE_CHECKING:
    from recam_cli.core.metrics.result import EvaluateResult
    from recam_cli.core.metrics.table import Table

_SHORT = {
    "iou": "IoU",
    "false_positive_background": "FP bg",
    "false_positive_confusion": "FP conf",
    "false_negative_background": "FN bg",
    "false_negative_confusion": "FN conf",
    "threshold": "confidence",
    "object_coverage": "as objects",
    "miou": "mIoU",
}
"""Headings by column, so that the table fits 80 characters; files bear the full names."""


def _execute(call: Call) -> None:
    from recam_cli.core.errors import UsageError
    from recam_cli.core.metrics.table import coverage_table, rows_of, text_of
    from recam_cli.core.runs.run import Run
    from recam_cli.stages import evaluate

    alone = call.values.get("pred_dir") is not None
    if alone and call.run_path is not None:
        raise UsageError("--run and --pred-dir exclude each other", remedy="Drop one of them")
    run = None if alone else Run.open(call.run_path)
    result = evaluate.run(call.resolve(EvaluateSettings, run=run), run, call.reporter)

    def human() -> None:
        table = rows_of(result)
        print_table(
            [_SHORT.get(name, name) for name in table.header], [[text_of(cell) for cell in row] for row in table.rows]
        )
        print_line(
            "In percent. FP and FN: false positives and negatives, as shares of the union of truth and prediction;"
        )
        print_line("bg: confused with the background, conf: with other classes.")
        if result.coverage is not None:
            _print_coverage(coverage_table(result.coverage))
        for line in _summary(result):
            print_line(line)

    call.show(result.as_dict(), human)


def _print_coverage(table: Table) -> None:
    from recam_cli.core.metrics.table import text_of

    print_table([_SHORT.get(name, name) for name in table.header], [list(map(text_of, row)) for row in table.rows])
    print_line(
        "Of the pixels of that confidence or more: their share of all, and of all as objects; precision and mIoU"
    )
    print_line("among themselves, recall of all pixels; means over the classes and the background.")


def _summary(result: EvaluateResult) -> list[str]:
    """Return the head figures in words: each threshold with how it was chosen, and where the files lie."""
    from recam_cli.core.metrics.table import text_of

    figures = result.summary()
    lines = [
        f"mIoU {text_of(figures['miou'])} %, pixel accuracy {text_of(figures['pixel_accuracy'])} % "
        f"over {result.images} images"
    ]
    if result.threshold is not None:
        lines[0] += f", threshold {result.threshold:.3f} ({result.threshold_chosen or 'not recorded how chosen'})"
    for name in ("best", "label_free"):
        point = figures[name]
        if point is not None and point["threshold"] != result.threshold:
            miou = text_of(point["miou"])
            lines.append(f"mIoU {miou} % at threshold {point['threshold']:.3f} ({point['chosen']})")
    if result.files:
        lines.append(f"files: {', '.join(str(path) for path in result.files)}")
    return lines


COMMAND = Command(
    name="evaluate",
    settings=EvaluateSettings,
    execute=_execute,
    examples=(
        "recam evaluate --of seeds",
        "recam evaluate --of segmentation --split val --json",
        "recam evaluate --pred-dir masks --truth-dir SegmentationClass",
    ),
)
