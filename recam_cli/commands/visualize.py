"""`recam visualize`."""

from __future__ import annotations

from pathlib import Path

from recam_cli.commands.common import Call, Command
from recam_cli.core.settings.visualize import VisualizeSettings
from recam_cli.terminal import print_line


def _execute(call: Call) -> None:
    from recam_cli.core.errors import DataError, RunError
    from recam_cli.core.runs.run import Run

    # Not from the run: there `labels` names a label file.
    resolved = call.resolve(VisualizeSettings)
    run = None
    if resolved.settings.weights is None or call.run_path is not None:
        try:
            run = Run.open(call.run_path)
        except RunError as error:
            hint = "or see what a stock ImageNet classifier finds with --weights imagenet"
            raise RunError(error.message, remedy=f"{error.remedy}; {hint}" if error.remedy else hint) from None
    from recam_cli.stages import visualize  # imports torch: only once there is a run

    result = visualize.run(resolved, run, call.reporter, call.values["images"])

    def human() -> None:
        for shown in result.shown:
            print_line(str(shown.picture))

    call.show(result.as_dict(), human)
    if result.failed:
        count = f"{len(result.failed)} of {len(result.failed) + len(result.shown)} images"
        raise DataError(f"{count} could not be shown: {', '.join(str(f.path) for f in result.failed)}")


COMMAND = Command(
    name="visualize",
    details="Each photograph gives one PNG, whose path is printed. The pictures never overwrite each other: "
    "of two photographs named a.jpg the second becomes a-2.png.",
    settings=VisualizeSettings,
    execute=_execute,
    arguments={"images": (list[Path], "Photographs.")},
    examples=(
        "recam visualize photo.jpg",
        "recam visualize photo.jpg --labels cat,sofa --run runs/photos",
        "recam visualize photo.jpg --weights imagenet",
    ),
)
