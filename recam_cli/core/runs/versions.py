"""Versions that a result depends on, read without importing the packages."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from recam_cli import __version__

PACKAGES = ("torch", "torchvision", "numpy", "pillow", "opencv-python", "numba", "pydensecrf2", "safetensors")


def versions() -> dict[str, str]:
    """Return versions of recam, Python and the packages that shape results; "absent" where not installed."""
    found = {"recam": __version__, "python": platform.python_version(), "platform": platform.platform()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "absent"
    return found
