"""`recam train-cls`."""

from __future__ import annotations

from recam_cli.commands.common import Call, Command
from recam_cli.core.settings.train_cls import TrainClsSettings
from recam_cli.terminal import print_line, print_table


def _execute(call: Call) -> None:
    from recam_cli.core.runs.run import Run
    from recam_cli.stages import classifier_phases, resuming, train_cls

    run, begun = None, {}
    if call.values["resume"]:
        run = resuming.require_begun(Run.open(call.run_path), classifier_phases.STAGE)
        begun = resuming.begun_settings(run, [classifier_phases.STAGE])
    resolved = call.resolve(TrainClsSettings, run=run, begun=begun)
    path = run.path if run is not None else call.run_path
    result = train_cls.run(resolved, path, call.reporter, preset=call.values.get("preset") or "auto")

    def human() -> None:
        if result.mean_average_precision is not None:
            rows = [(name, _percent(value)) for name, value in result.average_precision.items()]
            rows.append(("mAP", _percent(result.mean_average_precision)))
            print_table(("class", "AP %"), rows, title=f"{result.val_images} held-out images")
        print_line(str(result.run))

    call.show(result.as_dict(), human)


def _percent(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.2f}"


COMMAND = Command(
    name="train-cls",
    details="Without `--data-root`, VOC 2012 is looked for in `data/VOCdevkit/VOC2012` and `data/VOC2012`.",
    settings=TrainClsSettings,
    execute=_execute,
    examples=(
        "recam train-cls --dataset voc",
        "recam train-cls --dataset custom --data-root photos --backbone mobilenet_v2 --run runs/photos",
        "recam train-cls --resume --run runs/photos",
    ),
    has_preset=True,
)
