"""What a weights file says of itself, taken by type: it rebuilds a network before any weight is looked at."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recam_cli.core.data.limits import MAX_CLASSES
from recam_cli.core.errors import DataError, MissingExtraError, UsageError
from recam_cli.core.models.backbones import Backbone, Dilation, build_backbone


def word(about: Mapping[str, Any], name: str, path: Path) -> str:
    """Return the text noted as `name`; DataError where there is none."""
    value = about.get(name)
    if not isinstance(value, str):
        raise damaged(path, name)
    return value


def class_names(about: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    """Return the noted class names.

    Raises:
        DataError: none, more than mask values allow, or something else.
    """
    names = about.get("classes")
    if not isinstance(names, list) or not 1 <= len(names) <= MAX_CLASSES:
        raise damaged(path, "classes")
    if not all(isinstance(name, str) for name in names):
        raise damaged(path, "classes")
    return tuple(names)


def rebuilt_backbone(about: Mapping[str, Any], path: Path, dilation: Dilation = "published") -> Backbone:
    """Build the noted backbone at the noted stride, with random weights.

    Raises:
        DataError: there is none of that name and stride.
        MissingExtraError: it is one of timm's, and timm is not installed.
    """
    stride = about.get("stride")
    if type(stride) is not int:
        raise damaged(path, "stride")
    try:
        return build_backbone(word(about, "backbone", path), stride=stride, dilation=dilation)
    except MissingExtraError:
        raise
    except UsageError as error:
        raise DataError(f"{path}: damaged header: {error.message}", remedy="Restore the file") from None


def damaged(path: Path, name: str) -> DataError:
    """Return the error of a header whose `name` is missing or cannot be meant."""
    return DataError(f"{path}: damaged header: no usable {name!r}", remedy="Restore the file")
