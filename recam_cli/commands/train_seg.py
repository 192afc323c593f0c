"""`recam train-seg`."""

from __future__ import annotations

from recam_cli.commands.common import Call, Command
from recam_cli.core.settings.train_seg import TrainSegSettings
from recam_cli.terminal import print_line


def _execute(call: Call) -> None:
    from recam_cli.core.runs.run import Run
    from recam_cli.stages import resuming, train_seg

    run, begun = Run.open(call.run_path), {}
    if call.values["resume"]:
        wanted = {name: call.values[name] for name in ("labels", "method")}
        begun = resuming.begun_settings(run, train_seg.STAGES, wanted)
    result = train_seg.run(call.resolve(TrainSegSettings, run=run, begun=begun), run, call.reporter)

    def human() -> None:
        done = "trained" if result.trained else "kept, trained with these settings before"
        print_line(f"{result.weights}: {done} on {result.images} images, last loss {result.loss:.4f}")
        if result.predictions is not None:
            count = result.predicted + result.kept
            print_line(f"{result.predictions}: {count} predictions ({result.predicted} made, {result.kept} kept)")

    call.show(result.as_dict(), human)


COMMAND = Command(
    name="train-seg",
    settings=TrainSegSettings,
    execute=_execute,
    examples=(
        "recam train-seg",
        "recam train-seg --labels truth",
        "recam train-seg --resume",
        "recam train-seg --network lraspp --init classifier --run runs/photos",
    ),
    has_preset=True,
)
