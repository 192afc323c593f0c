"""Where tests and benchmarks find real photographs and weights; they skip, with the reason, where there are none."""

from __future__ import annotations

import atexit
import os
import tempfile
from functools import cache
from pathlib import Path

import pytest

from recam_cli.core.models.importing import import_weights

_VARIABLE = "RECAM_REAL_DATA"


def real_data_root() -> Path:
    """Return the folder holding `data/msrc` and `weights`, or skip the test."""
    given = os.environ.get(_VARIABLE)
    root = Path(given) if given else Path(__file__).resolve().parents[3] / "shared"
    if not (root / "data" / "msrc" / "classes.txt").is_file():
        pytest.skip(f"no real photographs at {root}; set {_VARIABLE} to a folder with data/msrc and weights/")
    return root


def msrc_root() -> Path:
    """Return the MSRC data set's folder, or skip the test."""
    return real_data_root() / "data" / "msrc"


@cache
def mobilenet_weights() -> Path:
    """Return the ImageNet MobileNetV2 weights, imported once into a temporary folder, or skip the test."""
    path = real_data_root() / "weights" / "mobilenet_v2-imagenet.pth"
    if not path.is_file():
        pytest.skip(f"no weights at {path}")
    folder = tempfile.TemporaryDirectory(prefix="recam-weights-")
    atexit.register(folder.cleanup)
    return import_weights(path, "mobilenet_v2", None, Path(folder.name), overwrite=False).path
