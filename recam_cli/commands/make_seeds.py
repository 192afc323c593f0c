"""`recam make-seeds`."""

from __future__ import annotations

from recam_cli.commands.common import Call, Command
from recam_cli.core.settings.make_seeds import MakeSeedsSettings
from recam_cli.terminal import print_line


def _execute(call: Call) -> None:
    from recam_cli.core.runs.run import Run
    from recam_cli.stages import make_seeds

    run = Run.open(call.run_path)
    result = make_seeds.run(call.resolve(MakeSeedsSettings, run=run), run, call.reporter)

    def human() -> None:
        print_line(
            f"{result.folder}: {result.images} {result.method} seeds ({result.made} made, {result.kept} kept), "
            f"weights {result.seed_weights}, {result.bytes_per_image:,} bytes per image"
        )

    call.show(result.as_dict(), human)


COMMAND = Command(
    name="make-seeds",
    settings=MakeSeedsSettings,
    execute=_execute,
    examples=("recam make-seeds", "recam make-seeds --method cam --run runs/photos"),
    has_preset=True,
)
