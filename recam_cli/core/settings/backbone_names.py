"""The names `--backbone` takes: recam's own networks, and those of the library timm as `timm/NAME`."""

from __future__ import annotations

import difflib
import re
from typing import Literal, get_args

from recam_cli.core.errors import UsageError

BackboneName = Literal["efficientnet_lite0", "resnet18", "resnet34", "resnet50", "resnet101", "vgg16", "mobilenet_v2"]
TIMM = "timm/"
OR_TIMM = f"one of {', '.join(get_args(BackboneName))}, or timm/NAME: any of timm's (pip install 'recam-cli[timm]')"
"""How help texts list the names."""
_TIMM_NAME = re.compile(r"timm/[A-Za-z0-9_]+(\.[A-Za-z0-9_-]+)?")


def is_timm(name: str) -> bool:
    """Return whether a name is one of timm's, as far as its form tells: never an address that timm would fetch."""
    return _TIMM_NAME.fullmatch(name) is not None


def check_backbone(name: str, where: str) -> None:
    """Pass a known name, or one of the form `timm/NAME`, which timm itself knows or not.

    Args:
        name: what was given.
        where: the flag or file it was given by.

    Raises:
        UsageError: any other; the nearest known name is suggested.
    """
    known = get_args(BackboneName)
    if name in known or is_timm(name):
        return
    close = difflib.get_close_matches(name, known, n=1)
    raise UsageError(
        f"{where}: {name!r} is not one of {', '.join(known)}, nor timm/NAME",
        remedy=f"Did you mean {close[0]}?" if close else None,
    )
