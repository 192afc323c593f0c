"""`recam predict`."""

from __future__ import annotations

from pathlib import Path

from recam_cli.commands.common import Call, Command
from recam_cli.core.settings.predict import PredictSettings
from recam_cli.terminal import print_line


def _execute(call: Call) -> None:
    from recam_cli.core.errors import DataError
    from recam_cli.core.runs.run import Run

    run = Run.open(call.run_path)
    from recam_cli.stages import predict  # imports torch: only once there is a run

    result = predict.run(call.resolve(PredictSettings), run, call.reporter, call.values["photos"])

    def human() -> None:
        parts = [f"{result.made} {'mask' if result.made == 1 else 'masks'} made"]
        if result.kept:
            parts.append(f"{result.kept} there before kept (--overwrite makes them anew)")
        if result.overlays:
            parts.append(f"{result.overlays} overlays")
        print_line(f"{result.folder}: {', '.join(parts)}; {predict.found_text(result)}")

    call.show(result.as_dict(), human)
    if result.failed:
        count = f"{len(result.failed)} of {len(result.failed) + len(result.predicted)} photographs"
        raise DataError(f"{count} could not be used: {', '.join(str(f.path) for f in result.failed)}")


COMMAND = Command(
    name="predict",
    details="Of a folder its own photographs are taken, with --recursive those of its sub-folders, too. "
    "Mask value 0 is background, k the k-th class; each photograph gives <name>.png in --out. "
    "Masks that are there already are kept and counted.",
    settings=PredictSettings,
    execute=_execute,
    arguments={"photos": (list[Path], "Photographs, and folders of them.")},
    examples=(
        "recam predict photos --out masks",
        "recam predict photo.jpg --out masks --overlay --eval-scales 0.75,1,1.25 --crf",
    ),
)
