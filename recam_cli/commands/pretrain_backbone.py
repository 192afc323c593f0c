"""`recam pretrain-backbone`."""

from __future__ import annotations

from recam_cli.commands.common import Call, Command
from recam_cli.core.settings.pretrain_backbone import PretrainBackboneSettings
from recam_cli.terminal import print_line


def _execute(call: Call) -> None:
    from recam_cli.stages import pretrain_backbone

    result = pretrain_backbone.run(call.resolve(PretrainBackboneSettings), call.reporter)

    def human() -> None:
        print_line(f"{result.accuracy:.2f} % of the held-out pictures named rightly, {result.seconds:.0f} s")
        print_line(f"{result.weights}: {result.bytes:,} bytes, sha256 {result.sha256}")
        print_line(str(result.card))

    call.show(result.as_dict(), human)


COMMAND = Command(
    name="pretrain-backbone",
    details="The data set `shapes` and `recam demo` start from it: --weights builtin.",
    settings=PretrainBackboneSettings,
    execute=_execute,
    examples=("recam pretrain-backbone --out my-backbone.safetensors",),
    needs_run=False,
)
