"""The only place that imports torchvision.

Beside a CPU-only torch, the torchvision of the package index (a CUDA build) cannot load its compiled operators, and
its import fails because it registers fake kernels for two operators that then do not exist. Declaring those two
schemas first lets models, transforms and datasets work; boxes are not needed here.
"""

from __future__ import annotations

from functools import cache
from types import ModuleType

import torch

_SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}
_library: torch.library.Library | None = None


@cache
def torchvision() -> ModuleType:
    """Return the torchvision package, imported so that a missing compiled part does no harm."""
    try:
        import torchvision as package
    except RuntimeError as error:
        if "does not exist" not in str(error):
            raise
        _forget_partial_import()
        _declare_missing_operators()
        import torchvision as package
    return package  # type: ignore[no-any-return]


def operators_loaded() -> bool:
    """Return whether torchvision's compiled operators are usable (`recam doctor` shows it)."""
    return bool(torchvision().extension._has_ops())


def _declare_missing_operators() -> None:
    global _library
    _library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for name, schema in _SCHEMAS.items():
        if not hasattr(torch.ops.torchvision, name):
            _library.define(schema)  # type: ignore[no-untyped-call]


def _forget_partial_import() -> None:
    import sys

    for name in [n for n in sys.modules if n == "torchvision" or n.startswith("torchvision.")]:
        del sys.modules[name]
