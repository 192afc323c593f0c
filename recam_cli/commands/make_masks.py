"""`recam make-masks`."""

from __future__ import annotations

from recam_cli.commands.common import Call, Command
from recam_cli.core.settings.make_masks import MakeMasksSettings
from recam_cli.terminal import print_line


def _execute(call: Call) -> None:
    from recam_cli.core.runs.run import Run
    from recam_cli.stages import make_masks

    run = Run.open(call.run_path)
    result = make_masks.run(call.resolve(MakeMasksSettings, run=run), run, call.reporter)

    def human() -> None:
        print_line(
            f"{result.folder}: {result.images} masks ({result.made} made, {result.kept} kept), "
            f"threshold {result.threshold:.3f} ({result.threshold_chosen}), "
            f"{100 * result.background:.1f} % background, {100 * result.undecided:.1f} % undecided"
        )
        if (apart := result.instances) is not None:
            print_line(f"{apart.folder}: {apart.instances} instances ({apart.made} maps made, {apart.kept} kept)")

    call.show(result.as_dict(), human)


COMMAND = Command(
    name="make-masks",
    settings=MakeMasksSettings,
    execute=_execute,
    examples=("recam make-masks", "recam make-masks --threshold 0.3 --refine none --run runs/photos"),
    has_preset=True,
)
