"""`recam import-weights`."""

from __future__ import annotations

from pathlib import Path

from recam_cli.commands.common import Call, Command
from recam_cli.core.settings.import_weights import ImportWeightsSettings
from recam_cli.terminal import print_line


def _execute(call: Call) -> None:
    from recam_cli.stages import import_weights

    result = import_weights.run(call.resolve(ImportWeightsSettings), call.values["file"], call.reporter)
    done = result.imported
    text = f"{done.path}: {done.tensors} tensors of {done.backbone}, sha256 {done.sha256}"
    call.show(result.as_dict(), lambda: print_line(text))


COMMAND = Command(
    name="import-weights",
    details="Torch files are pickles, which could run code: they are read here alone, as plain tensors and nothing "
    "else, and checked against the network. Everywhere else weights are safetensors.",
    settings=ImportWeightsSettings,
    execute=_execute,
    arguments={"file": (Path, "A torch file (.pth) with torchvision's names, or another tool's safetensors.")},
    examples=(
        "recam import-weights resnet50-0676ba61.pth",
        "recam import-weights mine.pth --backbone resnet50 --out mine.safetensors",
    ),
    needs_run=False,
)
